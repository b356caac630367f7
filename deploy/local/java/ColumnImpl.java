package io.debezium.relational;

import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Optional;

/**
 * Stands in for Debezium's class of this name: a column of a table, of which every value may be NULL.
 *
 * <p>PostgreSQL's stream doesn't say which columns are NOT NULL, so Debezium asks the catalogue, when it gets to a
 * table's rows. By then the answer may be of later: where a transaction fills NULLs in and sets NOT NULL behind them,
 * always, in the old images of its rows; where the decoder lags behind a migration, mostly. A NULL in a column that
 * mustn't have one becomes {@code 0} or an empty text without an error, or stops the connector where its type has no
 * empty value, and no restart gets it past that row. Here no column is required, neither in snapshots nor in the
 * stream, so that message keys have one form in both.
 */
final class ColumnImpl implements Column {

    private final String name;
    private final int position;
    private final int jdbcType;
    private final int nativeType;
    private final String typeName;
    private final String typeExpression;
    private final String charsetName;
    private final int length;
    private final Integer scale;
    private final List<String> enumValues;
    private final boolean autoIncremented;
    private final boolean generated;
    private final String defaultValueExpression;
    private final boolean hasDefaultValue;
    private final String comment;

    /** As {@code ColumnEditorImpl} calls it; {@code optional} is the catalogue's word, and isn't kept. */
    protected ColumnImpl(String name, int position, int jdbcType, int nativeType, String typeName,
                         String typeExpression, String charsetName, String charsetOfTable, int length, Integer scale,
                         List<String> enumValues, boolean optional, boolean autoIncremented, boolean generated,
                         String defaultValueExpression, boolean hasDefaultValue, String comment) {
        this.name = name;
        this.position = position;
        this.jdbcType = jdbcType;
        this.nativeType = nativeType;
        this.typeName = typeName;
        this.typeExpression = typeExpression;
        boolean ofTable = typeUsesCharset() && (charsetName == null || "DEFAULT".equalsIgnoreCase(charsetName));
        this.charsetName = ofTable ? charsetOfTable : charsetName;
        this.length = length;
        this.scale = scale;
        this.enumValues = enumValues == null ? List.of() : enumValues;
        this.autoIncremented = autoIncremented;
        this.generated = generated;
        this.defaultValueExpression = defaultValueExpression;
        this.hasDefaultValue = hasDefaultValue;
        this.comment = comment;
    }

    @Override
    public boolean isOptional() {
        return true;
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public int position() {
        return position;
    }

    @Override
    public int jdbcType() {
        return jdbcType;
    }

    @Override
    public int nativeType() {
        return nativeType;
    }

    @Override
    public String typeName() {
        return typeName;
    }

    @Override
    public String typeExpression() {
        return typeExpression;
    }

    @Override
    public String charsetName() {
        return charsetName;
    }

    @Override
    public int length() {
        return length;
    }

    @Override
    public Optional<Integer> scale() {
        return Optional.ofNullable(scale);
    }

    @Override
    public boolean isAutoIncremented() {
        return autoIncremented;
    }

    @Override
    public boolean isGenerated() {
        return generated;
    }

    @Override
    public Optional<String> defaultValueExpression() {
        return Optional.ofNullable(defaultValueExpression);
    }

    @Override
    public boolean hasDefaultValue() {
        return hasDefaultValue;
    }

    @Override
    public List<String> enumValues() {
        return enumValues;
    }

    @Override
    public String comment() {
        return comment;
    }

    @Override
    public ColumnEditor edit() {
        ColumnEditor editor = Column.editor()
            .name(name)
            .type(typeName, typeExpression)
            .jdbcType(jdbcType)
            .nativeType(nativeType)
            .charsetName(charsetName)
            .length(length)
            .scale(scale)
            .position(position)
            .optional(true)
            .autoIncremented(autoIncremented)
            .generated(generated)
            .enumValues(enumValues)
            .comment(comment);
        return hasDefaultValue ? editor.defaultValueExpression(defaultValueExpression) : editor;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof ColumnImpl && described().equals(((ColumnImpl) other).described());
    }

    @Override
    public int hashCode() {
        return Objects.hash(name, position);
    }

    @Override
    public String toString() {
        return name + " " + described();
    }

    private List<Object> described() {
        return Arrays.asList(name, position, jdbcType, nativeType, typeName, typeExpression, charsetName, length, scale,
            enumValues, autoIncremented, generated, defaultValueExpression, hasDefaultValue);
    }
}
