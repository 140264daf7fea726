package dev.headrace.bench;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.flink.api.connector.source.Boundedness;
import org.apache.flink.api.connector.source.ReaderOutput;
import org.apache.flink.api.connector.source.Source;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.api.connector.source.SourceSplit;
import org.apache.flink.api.connector.source.SplitEnumerator;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.core.io.InputStatus;
import org.apache.flink.core.io.SimpleVersionedSerializer;

/** Emits (lane, 0), (lane, 1), (lane, 2) … for every lane; what comes next is part of each checkpoint. */
final class LaneSource implements Source<Tuple2<Integer, Long>, LaneSource.Lane, List<LaneSource.Lane>> {
    private static final long serialVersionUID = 1;
    private static final int LANES = 64;

    private final long recordsPerSecond;
    private final long recordsPerLane;
    private final String endFile;

    /**
     * The lanes that the words after the jar ask for: {@code --rate} records per second of all lanes together, at any parallelism; after
     * {@code --bounded} records, rounded up to full lanes, or with {@code --end-when-told}, the source ends.
     */
    LaneSource(Options options) {
        long records = options.number("bounded", Long.MAX_VALUE);
        this.recordsPerSecond = options.number("rate", 1000);
        this.recordsPerLane = records == Long.MAX_VALUE ? Long.MAX_VALUE : (records + LANES - 1) / LANES;
        this.endFile = options.isSet("end-when-told") ? options.text("control", "") + "/end" : null;
    }

    @Override
    public Boundedness getBoundedness() {
        // In STREAMING mode a job of a bounded source takes checkpoints like any other, until it ends as FINISHED.
        boolean isBounded = recordsPerLane != Long.MAX_VALUE || endFile != null;
        return isBounded ? Boundedness.BOUNDED : Boundedness.CONTINUOUS_UNBOUNDED;
    }

    @Override
    public SplitEnumerator<Lane, List<Lane>> createEnumerator(SplitEnumeratorContext<Lane> context) {
        List<Lane> lanes = IntStream.range(0, LANES).mapToObj(id -> new Lane(id, 0)).collect(Collectors.toList());
        return new Dealer(context, lanes);
    }

    @Override
    public SplitEnumerator<Lane, List<Lane>> restoreEnumerator(SplitEnumeratorContext<Lane> context, List<Lane> undealt) {
        return new Dealer(context, undealt);
    }

    @Override
    public SourceReader<Tuple2<Integer, Long>, Lane> createReader(SourceReaderContext context) {
        return new Reader(recordsPerSecond / (double) LANES, recordsPerLane, endFile == null ? null : Path.of(endFile));
    }

    @Override
    public SimpleVersionedSerializer<Lane> getSplitSerializer() {
        return new LaneSerializer();
    }

    @Override
    public SimpleVersionedSerializer<List<Lane>> getEnumeratorCheckpointSerializer() {
        return new LanesSerializer();
    }

    /** One sequence of numbers, and the number that comes next. */
    static final class Lane implements SourceSplit {
        final int id;
        long next;

        Lane(int id, long next) {
            this.id = id;
            this.next = next;
        }

        @Override
        public String splitId() {
            return Integer.toString(id);
        }
    }

    /** Deals the lanes that no reader has, to the readers in turn. */
    private static final class Dealer implements SplitEnumerator<Lane, List<Lane>> {
        private final SplitEnumeratorContext<Lane> context;
        private final List<Lane> undealt;

        Dealer(SplitEnumeratorContext<Lane> context, List<Lane> undealt) {
            this.context = context;
            this.undealt = new ArrayList<>(undealt);
        }

        @Override
        public void addReader(int subtask) {
            for (Lane lane : List.copyOf(undealt)) {
                if (lane.id % context.currentParallelism() == subtask) {
                    context.assignSplit(lane, subtask);
                    undealt.remove(lane);
                }
            }
            context.signalNoMoreSplits(subtask);
        }

        @Override
        public void addSplitsBack(List<Lane> lanes, int subtask) {
            undealt.addAll(lanes);
        }

        @Override
        public List<Lane> snapshotState(long checkpointId) {
            return new ArrayList<>(undealt);
        }

        @Override
        public void start() {}

        @Override
        public void handleSplitRequest(int subtask, String host) {}

        @Override
        public void close() {}
    }

    /** Reads its lanes in turn, at an even pace. */
    private static final class Reader implements SourceReader<Tuple2<Integer, Long>, Lane> {
        private static final long LONGEST_DELAY_MADE_UP_FOR = TimeUnit.MILLISECONDS.toNanos(100);
        private static final long CONTROL_INTERVAL = TimeUnit.MILLISECONDS.toNanos(100);
        // A few records at once: to wake up for each costs more than to read it.
        private static final long SHORTEST_PAUSE = TimeUnit.MILLISECONDS.toNanos(10);

        private final double recordsPerSecondOfLane;
        private final long recordsPerLane;
        private final Path endFile;
        private final ArrayDeque<Lane> lanes = new ArrayDeque<>();
        private final List<Lane> finished = new ArrayList<>();
        private CompletableFuture<Void> laneAdded = new CompletableFuture<>();
        private boolean hasAllLanes;
        private double due = System.nanoTime();
        private long lastControl;

        Reader(double recordsPerSecondOfLane, long recordsPerLane, Path endFile) {
            this.recordsPerSecondOfLane = recordsPerSecondOfLane;
            this.recordsPerLane = recordsPerLane;
            this.endFile = endFile;
        }

        @Override
        public void addSplits(List<Lane> added) {
            lanes.addAll(added);
            laneAdded.complete(null);
        }

        @Override
        public void notifyNoMoreSplits() {
            hasAllLanes = true;
            laneAdded.complete(null);
        }

        @Override
        public InputStatus pollNext(ReaderOutput<Tuple2<Integer, Long>> output) {
            endIfTold();
            if (lanes.isEmpty()) {
                return isBounded() && hasAllLanes ? InputStatus.END_OF_INPUT : InputStatus.NOTHING_AVAILABLE;
            }
            if (System.nanoTime() < due) {
                return InputStatus.NOTHING_AVAILABLE;
            }
            emit(lanes.remove(), output);
            return InputStatus.NOTHING_AVAILABLE;
        }

        private void emit(Lane lane, ReaderOutput<Tuple2<Integer, Long>> output) {
            if (lane.next >= recordsPerLane) {
                finished.add(lane);
                return;
            }
            output.collect(Tuple2.of(lane.id, lane.next++));
            lanes.add(lane);
            double interval = TimeUnit.SECONDS.toNanos(1) / (recordsPerSecondOfLane * lanes.size());
            due = Math.max(due, System.nanoTime() - LONGEST_DELAY_MADE_UP_FOR) + interval;
        }

        private void endIfTold() {
            if (endFile == null || System.nanoTime() - lastControl < CONTROL_INTERVAL) {
                return;
            }
            lastControl = System.nanoTime();
            if (Files.exists(endFile)) {
                finished.addAll(lanes);
                lanes.clear();
            }
        }

        private boolean isBounded() {
            return recordsPerLane != Long.MAX_VALUE || endFile != null;
        }

        @Override
        public CompletableFuture<Void> isAvailable() {
            if (lanes.isEmpty()) {
                if (!hasAllLanes && laneAdded.isDone()) {
                    laneAdded = new CompletableFuture<>();
                }
                return laneAdded;
            }
            long wait = (long) due - System.nanoTime();
            if (wait <= 0) {
                return CompletableFuture.completedFuture(null);
            }
            long pause = Math.max(wait, SHORTEST_PAUSE);
            // On the timer's own thread: where there are two cores, the default is a new thread for each.
            Executor later = CompletableFuture.delayedExecutor(pause, TimeUnit.NANOSECONDS, Runnable::run);
            return CompletableFuture.runAsync(() -> {}, later);
        }

        @Override
        public List<Lane> snapshotState(long checkpointId) {
            List<Lane> all = new ArrayList<>(lanes);
            all.addAll(finished);
            return all;
        }

        @Override
        public void start() {}

        @Override
        public void close() {}
    }

    private static final class LaneSerializer implements SimpleVersionedSerializer<Lane> {
        static final int BYTES = Integer.BYTES + Long.BYTES;

        @Override
        public int getVersion() {
            return 1;
        }

        @Override
        public byte[] serialize(Lane lane) {
            return ByteBuffer.allocate(BYTES).putInt(lane.id).putLong(lane.next).array();
        }

        @Override
        public Lane deserialize(int version, byte[] bytes) {
            ByteBuffer buffer = ByteBuffer.wrap(bytes);
            return new Lane(buffer.getInt(), buffer.getLong());
        }
    }

    private static final class LanesSerializer implements SimpleVersionedSerializer<List<Lane>> {
        private final LaneSerializer one = new LaneSerializer();

        @Override
        public int getVersion() {
            return 1;
        }

        @Override
        public byte[] serialize(List<Lane> lanes) {
            ByteBuffer buffer = ByteBuffer.allocate(lanes.size() * LaneSerializer.BYTES);
            lanes.forEach(lane -> buffer.put(one.serialize(lane)));
            return buffer.array();
        }

        @Override
        public List<Lane> deserialize(int version, byte[] bytes) throws IOException {
            List<Lane> lanes = new ArrayList<>();
            for (ByteBuffer buffer = ByteBuffer.wrap(bytes); buffer.hasRemaining(); ) {
                byte[] lane = new byte[LaneSerializer.BYTES];
                buffer.get(lane);
                lanes.add(one.deserialize(version, lane));
            }
            return lanes;
        }
    }
}
