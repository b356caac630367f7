package replicator.connect;

import io.debezium.connector.postgresql.PostgresValueConverter;
import io.debezium.connector.postgresql.UnchangedToastedReplicationMessageColumn;
import io.debezium.spi.converter.CustomConverter;
import io.debezium.spi.converter.RelationalColumn;
import java.sql.Array;
import java.sql.Types;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.time.format.DateTimeFormatterBuilder;
import java.time.format.SignStyle;
import java.time.temporal.ChronoField;
import java.util.Calendar;
import java.util.GregorianCalendar;
import java.util.Locale;
import java.util.Properties;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.errors.DataException;
import org.postgresql.PGStatement;
import org.postgresql.util.PGobject;

/**
 * A Debezium converter that carries exactly what Debezium's own conversions change: arrays, bit strings, times with a
 * zone, geometric types and vectors as PostgreSQL's own text, dates and timestamps as the numbers that Debezium writes,
 * without its losses at the edges.
 *
 * <p>It has to work out the same for a value that the snapshot read (through JDBC's classes) and one from the stream
 * (pgoutput's text, in part already in Debezium's or JDBC's classes). A class that it doesn't know is an error, never
 * a guess; the connector runs with event.converting.failure.handling.mode=fail, so that no error becomes a NULL.
 */
public final class ExactValueConverter implements CustomConverter<SchemaBuilder, RelationalColumn> {

    /** A parameter of each field's schema that tells a reader that this class wrote the field. */
    private static final String MARK = "replicator.exact";

    private static final String PLACEHOLDER = "__debezium_unavailable_value";

    // Numbers of types in pg_type, the same in every PostgreSQL.
    private static final int DATE = 1082;
    private static final int TIMESTAMP = 1114;
    private static final int TIMETZ = 1266;
    private static final int VARBIT = 1562;
    private static final int INT2VECTOR = 22;
    private static final int OIDVECTOR = 30;
    private static final int POINT = 600;
    private static final int LSEG = 601;
    private static final int PATH = 602;
    private static final int BOX = 603;
    private static final int POLYGON = 604;
    private static final int LINE = 628;
    private static final int CIRCLE = 718;

    // What Debezium itself writes for an infinite date from the stream; finite dates never have these numbers.
    private static final int DATE_INFINITY = 2146033979;
    private static final int DATE_MINUS_INFINITY = -2147472691;
    private static final LocalDate STREAMED_INFINITY = LocalDate.parse("-5877611-06-21");
    private static final LocalDate STREAMED_MINUS_INFINITY = LocalDate.parse("-5877611-06-22");

    private static final DateTimeFormatter TIMESTAMP_TEXT = new DateTimeFormatterBuilder()
        .appendValue(ChronoField.YEAR_OF_ERA, 4, 10, SignStyle.NEVER)
        .appendPattern("-MM-dd HH:mm:ss")
        .optionalStart()
        .appendFraction(ChronoField.MICRO_OF_SECOND, 1, 6, true)
        .optionalEnd()
        .appendPattern("[ G]")
        .parseDefaulting(ChronoField.ERA, 1)
        .toFormatter(Locale.ENGLISH);

    @Override
    public void configure(Properties properties) {
        // JDBC makes a date of the snapshot into a moment of the JVM's zone; where clocks are put forward at midnight
        // some dates have none.
        ZoneId zone = ZoneId.systemDefault();
        if (!zone.getRules().isFixedOffset()) {
            throw new ConfigException(
                "Exact values need a worker whose time zone never changes its offset, and this one runs in " + zone
                + ". Start it with -Duser.timezone=UTC (or TZ=UTC).");
        }
    }

    @Override
    public void converterFor(RelationalColumn column, ConverterRegistration<SchemaBuilder> registration) {
        Converter toText = value -> textOf(column, value);
        if (column.jdbcType() == Types.ARRAY) {
            registration.register(text(), toText);
            return;
        }
        switch (column.nativeType()) {
            case TIMETZ:
            case VARBIT:
            case INT2VECTOR:
            case OIDVECTOR:
            case POINT:
            case LSEG:
            case PATH:
            case BOX:
            case POLYGON:
            case LINE:
            case CIRCLE:
                registration.register(text(), toText);
                break;
            case DATE:
                registration.register(
                    io.debezium.time.Date.builder().parameter(MARK, "number"), ExactValueConverter::dayOf);
                break;
            case TIMESTAMP:
                registration.register(
                    io.debezium.time.MicroTimestamp.builder().parameter(MARK, "number"), ExactValueConverter::microsOf);
                break;
            default:
                break;
        }
    }

    private static SchemaBuilder text() {
        return SchemaBuilder.string().parameter(MARK, "text");
    }

    private static Object textOf(RelationalColumn column, Object value) {
        if (value == null) {
            return null;
        }
        if (UnchangedToastedReplicationMessageColumn.isUnchangedToastedValue(value)) {
            return PLACEHOLDER;
        }
        if (value instanceof String) {
            return value;
        }
        if (value instanceof PGobject) {
            return ((PGobject) value).getValue();
        }
        if (value instanceof Array) {
            return value.toString();
        }
        if (isDefault()) {
            // Debezium's own form of a DEFAULT. It only describes the schema: rows never take it.
            return column.isOptional() ? null : "";
        }
        throw unknown(value);
    }

    /** Whether it is a column's DEFAULT that is being converted, while a table's schema is made. */
    private static boolean isDefault() {
        return StackWalker.getInstance().walk(frames -> frames
            .anyMatch(frame -> frame.getClassName().equals("io.debezium.relational.TableSchemaBuilder")
                && frame.getMethodName().equals("addField")));
    }

    /** Days since 1970 in the proleptic Gregorian calendar, which is PostgreSQL's. */
    private static Object dayOf(Object value) {
        if (value == null) {
            return null;
        }
        if (value instanceof LocalDate) {
            if (value.equals(STREAMED_INFINITY)) {
                return DATE_INFINITY;
            }
            if (value.equals(STREAMED_MINUS_INFINITY)) {
                return DATE_MINUS_INFINITY;
            }
            return Math.toIntExact(((LocalDate) value).toEpochDay());
        }
        if (value instanceof java.sql.Date) {
            long millis = ((java.sql.Date) value).getTime();
            if (millis == PGStatement.DATE_POSITIVE_INFINITY) {
                return DATE_INFINITY;
            }
            if (millis == PGStatement.DATE_NEGATIVE_INFINITY) {
                return DATE_MINUS_INFINITY;
            }
            return Math.toIntExact(dayOf(fieldsOf((java.sql.Date) value)).toEpochDay());
        }
        if (value instanceof Integer && isDefault()) {
            return value;
        }
        throw unknown(value);
    }

    /**
     * Microseconds since 1970. PostgreSQL's last years lie beyond 64 bits and wrap around to numbers that are too small
     * for any timestamp, so they stay apart from all others.
     */
    private static Object microsOf(Object value) {
        if (value == null) {
            return null;
        }
        if (value instanceof Instant) {
            Instant instant = (Instant) value;
            if (instant.equals(PostgresValueConverter.POSITIVE_INFINITY_INSTANT)) {
                return Long.MAX_VALUE;
            }
            if (instant.equals(PostgresValueConverter.NEGATIVE_INFINITY_INSTANT)) {
                return Long.MIN_VALUE;
            }
            return instant.getEpochSecond() * 1_000_000 + instant.getNano() / 1_000;
        }
        if (value instanceof String) {
            String text = (String) value;
            if (text.equals("infinity")) {
                return Long.MAX_VALUE;
            }
            if (text.equals("-infinity")) {
                return Long.MIN_VALUE;
            }
            Instant instant = LocalDateTime.parse(text, TIMESTAMP_TEXT).toInstant(ZoneOffset.UTC);
            return instant.getEpochSecond() * 1_000_000 + instant.getNano() / 1_000;
        }
        if (value instanceof Long && isDefault()) {
            return value;
        }
        throw unknown(value);
    }

    /** The fields that JDBC put in: it computes the moment of a date with this calendar, in the JVM's own zone. */
    private static Calendar fieldsOf(java.util.Date date) {
        Calendar calendar = new GregorianCalendar();
        calendar.setTimeInMillis(date.getTime());
        return calendar;
    }

    private static LocalDate dayOf(Calendar fields) {
        int year = fields.get(Calendar.YEAR);
        int proleptic = fields.get(Calendar.ERA) == GregorianCalendar.BC ? 1 - year : year;
        return LocalDate.of(proleptic, fields.get(Calendar.MONTH) + 1, fields.get(Calendar.DAY_OF_MONTH));
    }

    private static DataException unknown(Object value) {
        return new DataException("no exact conversion is known for a " + value.getClass().getName());
    }
}
