package dev.headrace.bench;

import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;

/**
 * A job that notices when its state is lost, or restored from another place than its source: lanes of consecutive numbers, and a
 * counter that knows for each lane which number must come next.
 *
 * <p>Lanes play the partitions of a topic. There are always as many, whatever the parallelism, so a job that is restored with another
 * parallelism deals them out anew.
 */
public final class CountingJob {
    private CountingJob() {}

    public static void main(String[] args) throws Exception {
        Options options = new Options(args);
        if (options.isSet("main-throws")) {
            throw new IllegalStateException("told to throw in main (--main-throws)");
        }

        StreamExecutionEnvironment environment = StreamExecutionEnvironment.getExecutionEnvironment();
        if (options.isSet("checkpoint-ms")) {
            environment.enableCheckpointing(options.number("checkpoint-ms", 0));
        }
        if (options.isSet("max-parallelism")) {
            environment.setMaxParallelism((int) options.number("max-parallelism", 0));
        }

        environment
                .fromSource(new LaneSource(options), WatermarkStrategy.noWatermarks(), "lanes", Types.TUPLE(Types.INT, Types.LONG))
                .uid("lanes")
                .keyBy(numbered -> numbered.f0, Types.INT)
                .process(new ContiguityCounter(options))
                .returns(Types.LONG)
                .name("counter")
                .uid("counter")
                .sinkTo(new DiscardingSink<>())
                .name("sink")
                .uid("sink");
        environment.execute(options.text("name", "counting-job"));
    }
}
