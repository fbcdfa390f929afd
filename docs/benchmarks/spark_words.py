"""Word count in Spark: spark_words.py OUT INPUT...   (pip install pyspark; Java 17 or later)"""
import os
import sys

from pyspark import SparkContext
from pyspark.sql import SparkSession, functions as f

out, inputs = sys.argv[1], sys.argv[2:]
cpus = len(os.sched_getaffinity(0))
spark = (
    SparkSession.builder.master("local[%d]" % cpus)
    .config("spark.driver.memory", os.environ.get("SPARK_MEMORY", "4g"))
    .config("spark.sql.shuffle.partitions", 4 * cpus)
    .config("spark.ui.enabled", "false")
    .config("spark.log.level", "ERROR")
    .getOrCreate()
)
lines = spark.read.option("recursiveFileLookup", "true").text([os.path.abspath(given) for given in inputs])
words = lines.select(f.explode(f.regexp_extract_all("value", f.lit(r"(\p{L}+)"))).alias("word"))
rows = words.groupBy("word").count().select(f.concat_ws("\t", "word", f.col("count").cast("string")))
rows.write.text(os.path.abspath(out))

# The JVM ends by itself, later: waited for, it is in the time that is measured.
spark.stop()
gateway = SparkContext._gateway
gateway.shutdown()
gateway.proc.stdin.close()
gateway.proc.wait()
