package io.debezium.connector.postgresql.connection.pgoutput;

import io.debezium.connector.postgresql.PostgresType;
import java.util.Map;

/**
 * Stands in for Debezium's class of this name: what the decoder knows of a column when the stream tells it of a table.
 *
 * <p>Debezium 3.7 reads a row's values as the type that the catalogue has for the column when the decoder gets to the
 * row. The stream says which type the values were written as, and it may be another one: where a transaction writes rows
 * and changes the type behind them, always; where the decoder lags behind a migration, mostly. Then a text {@code true}
 * becomes the boolean {@code false} without an error, or a value that can't be read as the later type stops the
 * connector, and no restart gets it past that row. Here the stream's word counts; {@code serial} and its like stay,
 * which are the catalogue's names of plain integers.
 */
public class ColumnMetaData {

    private static final Map<String, String> SERIAL =
        Map.of("smallserial", "int2", "serial", "int4", "bigserial", "int8");

    private final String columnName;
    private final PostgresType postgresType;
    private final boolean key;
    private final boolean optional;
    private final boolean hasDefaultValue;
    private final String defaultValueExpression;
    private final int length;
    private final int scale;
    private final String typeName;
    private final String driverTypeName;

    ColumnMetaData(String columnName, PostgresType streamed, boolean key, boolean optional, boolean hasDefaultValue,
                   String defaultValueExpression, int modifier, String catalogued) {
        this.columnName = columnName;
        this.postgresType = streamed;
        this.key = key;
        this.optional = optional;
        this.hasDefaultValue = hasDefaultValue;
        this.defaultValueExpression = defaultValueExpression;
        this.driverTypeName = isSerialOf(streamed, catalogued) ? catalogued : streamed.getName();
        if (streamed.isVector()) {
            length = modifier;
            scale = 0;
            typeName = length == -1 ? driverTypeName : driverTypeName + "(" + length + ")";
            return;
        }
        boolean limited = modifier != -1 && streamed.getTypeInfo() != null;
        length = limited
            ? streamed.getTypeInfo().getPrecision(streamed.getOid(), modifier)
            : streamed.getDefaultLength();
        scale = limited ? streamed.getTypeInfo().getScale(streamed.getOid(), modifier) : streamed.getDefaultScale();
        boolean plain = length == streamed.getDefaultLength() && scale == 0;
        typeName = plain ? driverTypeName : driverTypeName + "(" + length + "," + scale + ")";
    }

    private static boolean isSerialOf(PostgresType streamed, String catalogued) {
        return catalogued != null && streamed.getName().equals(SERIAL.get(catalogued));
    }

    public String getColumnName() {
        return columnName;
    }

    public PostgresType getPostgresType() {
        return postgresType;
    }

    public boolean isKey() {
        return key;
    }

    public boolean isOptional() {
        return optional;
    }

    public boolean hasDefaultValue() {
        return hasDefaultValue;
    }

    public String getDefaultValueExpression() {
        return defaultValueExpression;
    }

    public int getLength() {
        return length;
    }

    public int getScale() {
        return scale;
    }

    public String getTypeName() {
        return typeName;
    }

    public String getDriverTypeName() {
        return driverTypeName;
    }
}
