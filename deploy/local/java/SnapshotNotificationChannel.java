package replicator.connect;

import io.debezium.pipeline.notification.Notification;
import io.debezium.pipeline.notification.channels.SinkNotificationChannel;
import io.debezium.pipeline.spi.OffsetContext;
import io.debezium.pipeline.spi.Offsets;
import io.debezium.pipeline.spi.Partition;
import java.util.Collections;
import java.util.Map;

/**
 * Debezium's channel into a topic, but its records don't carry the connector's offset.
 *
 * <p>With Debezium's own, the first notification of a snapshot ("STARTED") commits an offset that says nothing of a
 * snapshot. A task that ends before the first row of it, because a table was dropped just then, say, finds that offset
 * when it begins again, takes the snapshot for complete and skips it: what the database had before is never captured.
 */
public final class SnapshotNotificationChannel extends SinkNotificationChannel {

    private static final Partition NOTIFICATIONS = () -> Map.of("channel", "notifications");
    private static final Offsets<Partition, OffsetContext> NO_OFFSET =
        Offsets.of(Collections.singletonMap(NOTIFICATIONS, null));

    @Override
    public String name() {
        return "replicator";
    }

    @Override
    public <P extends Partition, O extends OffsetContext> void send(Notification notification, Offsets<P, O> offsets) {
        super.send(notification, NO_OFFSET);
    }
}
