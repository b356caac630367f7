package replicator.connect;

import io.apicurio.registry.utils.converter.AvroConverter;
import io.apicurio.registry.utils.converter.avro.AvroData;
import io.apicurio.registry.utils.converter.avro.AvroDataConfig;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.reflect.Field;
import java.util.Arrays;
import java.util.IdentityHashMap;
import java.util.Map;
import java.util.function.Supplier;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.errors.DataException;

/**
 * Apicurio's Avro converter, with NULL kept in columns that have a DEFAULT, and without looking a known schema up anew
 * for every record.
 *
 * <p>NULL. Kafka Connect's Struct.get answers with the schema's default where the value is null, and the converter
 * writes that: a row with NULL arrives as a row with the default, without any error. AvroData has a switch against
 * it, ignoreDefaultForNullables, which no setting reaches; so it is set by reflection. A converter in which the
 * switch can't be found must not start, because everything it wrote would look right.
 *
 * <p>Speed. To find a schema's id the original prints the schema as JSON, once for each key and each value, and that
 * is most of what a connector's task does. Debezium hands over the same Schema object for every row of a table until
 * the table changes. So the five bytes before the data (a zero, then the id in Confluent's wire format) are remembered
 * by that object's identity. They are taken from what the original wrote for the first record, and only if our own
 * encoding of that record gave the same bytes; otherwise (a schema's id in a header, another encoding) the original
 * goes on for that schema.
 */
public final class NullKeepingAvroConverter extends AvroConverter<Object> {

    private static final int HEADER_BYTES = 5;
    private static final int MAX_KNOWN = 10_000;

    private final Map<Schema, Known> known = new IdentityHashMap<>();
    private final ByteArrayOutputStream buffer = new ByteArrayOutputStream(1024);
    private NullKeepingData data;
    private BinaryEncoder encoder;

    @Override
    public void configure(Map<String, ?> configs, boolean isKey) {
        super.configure(configs, isKey);
        data = new NullKeepingData(new AvroDataConfig(configs));
        known.clear();
    }

    /** What the original serializes on its slow way; ours, so that NULL is kept there too. */
    @Override
    protected Object applySchema(Schema schema, Object value) {
        return data.fromConnectData(schema, value);
    }

    @Override
    public byte[] fromConnectData(String topic, Schema schema, Object value) {
        return quickOr(topic, schema, value, () -> super.fromConnectData(topic, schema, value));
    }

    @Override
    public byte[] fromConnectData(String topic, Headers headers, Schema schema, Object value) {
        return quickOr(topic, schema, value, () -> super.fromConnectData(topic, headers, schema, value));
    }

    private byte[] quickOr(String topic, Schema schema, Object value, Supplier<byte[]> original) {
        if (schema == null || value == null) {
            return original.get();
        }
        Known before = known.get(schema);
        if (before != null && before.topic.equals(topic)) {
            return before.writer == null ? original.get() : encoded(before, data.of(schema, before.avro, value));
        }
        byte[] written = original.get();
        if (known.size() >= MAX_KNOWN) {
            known.clear();
        }
        known.put(schema, learned(topic, schema, value, written));
        return written;
    }

    private Known learned(String topic, Schema schema, Object value, byte[] written) {
        if (written != null && written.length > HEADER_BYTES && written[0] == 0) {
            org.apache.avro.Schema avro = data.fromConnectSchema(schema);
            Object record = data.of(schema, avro, value);
            if (record instanceof GenericRecord) {
                Known candidate = new Known(topic, avro, Arrays.copyOf(written, HEADER_BYTES));
                if (Arrays.equals(written, encoded(candidate, record))) {
                    return candidate;
                }
            }
        }
        return new Known(topic, null, null);
    }

    private byte[] encoded(Known schema, Object record) {
        buffer.reset();
        buffer.write(schema.header, 0, HEADER_BYTES);
        try {
            encoder = EncoderFactory.get().directBinaryEncoder(buffer, encoder);
            schema.writer.write(record, encoder);
            encoder.flush();
        } catch (IOException e) {
            throw new DataException("A record for " + schema.topic + " could not be written as Avro", e);
        }
        return buffer.toByteArray();
    }

    /** A schema object already seen, for one topic; without a writer where the original has to go on. */
    private static final class Known {
        private final String topic;
        private final org.apache.avro.Schema avro;
        private final byte[] header;
        private final GenericDatumWriter<Object> writer;

        private Known(String topic, org.apache.avro.Schema avro, byte[] header) {
            this.topic = topic;
            this.avro = avro;
            this.header = header;
            this.writer = avro == null ? null : new GenericDatumWriter<>(avro);
        }
    }

    /** AvroData with the switch set, and its conversion for an Avro schema that is known already. */
    private static final class NullKeepingData extends AvroData {

        private NullKeepingData(AvroDataConfig config) {
            super(config);
            try {
                Field ignoreDefault = AvroData.class.getDeclaredField("ignoreDefaultForNullables");
                ignoreDefault.setAccessible(true);
                ignoreDefault.setBoolean(this, true);
            } catch (ReflectiveOperationException e) {
                throw new ConfigException(
                    "This converter cannot keep NULL in columns with a DEFAULT: AvroData has no switch"
                    + " ignoreDefaultForNullables in this version (" + e + ")."
                    + " Nothing was written. Use the converter version that versions.py names.");
            }
        }

        private Object of(Schema schema, org.apache.avro.Schema avro, Object value) {
            return fromConnectData(schema, avro, value);
        }
    }
}
