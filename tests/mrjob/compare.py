#!/usr/bin/env python3
"""Runs mrjob's own jobs, untouched, on Mapfold in Hadoop's place, and on mrjob's local runners, and compares what comes out.

    python3 compare.py MAPFOLD [--cache DIR] [--cluster] [-k REGEX] [-v]

MAPFOLD is the binary. mrjob 0.7.4 comes from PyPI, into a virtual environment in DIR (by default a folder that is removed), with its examples
and the jobs of its tests. Prints a line a job, then `N of M as expected`. Exit status: 0 if all are, 1 if not, 77 if mrjob could not be had or
this Python cannot run it (mrjob needs 3.12 or older).

--cluster runs the jobs on a master and two workers of their own, -k keeps jobs in whose name REGEX is found, -v shows all that a differing job said.
"""
import argparse, collections, contextlib, gzip, json, os, re, shutil, socket, subprocess, sys, tarfile, tempfile, time
from pathlib import Path

MRJOB = "mrjob==0.7.4"
SKIPPED = 77
TIMEOUT_S = 300

TEXT = """The quick brown fox jumps over the lazy dog.
The dog was not amused; the fox was.
ünïcode wörds, and 数 too
a tab\there and a tab\tthere

under the upturned umbrella nobody got wet
"""
JSON_PAIRS = '"a"\t1\n"b"\t2\n"c"\t[3]\n'
NUMBERS = "".join(f"{n}\n" for n in range(1, 8))
WET = "WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: http://{host}/{page}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n{text}\r\n\r\n"


# How the two outputs are held against each other.

def lines(text):
    """Lines in any order: partitions and equal keys have none. A line without a value ends in a TAB where Hadoop writes it, which mrjob's own runners
    do not know."""
    return collections.Counter(re.sub("\t$", "", line) for line in text.splitlines())


def distinct_lines(text):
    """A line a map task: how many those are is the runner's business."""
    return set(text.splitlines())


def total(text):
    """The sum over tasks, whose number is the runner's business."""
    return sum(int(line.split()[-1]) for line in text.splitlines())


def json_rows(text):
    """Rows of JSON, whose objects have no order; sums of floats depend on it in their last digits."""
    parts = (json.loads(part, parse_float=lambda digits: float("%.12g" % float(digits))) for part in text.replace("\t", "\n").splitlines())
    return collections.Counter(json.dumps(part, sort_keys=True) for part in parts)


def without_tabs(text):
    """A program that reads keys as whole lines sees the TAB before an empty value, on Hadoop too."""
    return lines(text.replace(r"\t", "").replace("\t", ""))


def values_in_any_order(text):
    """Rows whose value is a list: Hadoop promises no order of the values of a key."""
    rows = []
    for line in text.splitlines():
        key, value = line.split("\t", 1)
        rows.append((key, sorted(map(str, json.loads(value)))))
    return sorted(rows)


def by_base_name(text):
    """Files are URIs on one side, paths on the other, and compared by their last part."""
    return lines(re.sub(r'"[^"]*/([^"/]+)"', r'"\1"', text))


class Job:
    """A job of mrjob's, what it is run on, and what is expected."""

    def __init__(self, name, args=(), inputs=("text",), base="inline", same=lines, says=None, refused=None, holds=None, note=""):
        self.name, self.args, self.inputs, self.base, self.same = name, list(args), inputs, base, same
        # Fails everywhere, and on Mapfold with all these texts.
        self.says = says
        # Is refused by Mapfold with this text, as it needs Java.
        self.refused = refused
        # Only Mapfold's output is looked at: whether it holds these texts.
        self.holds = holds
        self.note = note


E, T = "mrjob/examples/", "tests/"
JOBS = [
    Job(E + "mr_word_freq_count", inputs=("text", "book.gz")),
    Job(E + "mr_most_used_word", inputs=("book.gz",), note="two steps and a file"),
    Job(E + "mr_most_used_word", ["--stop-words-file", "{dir}/stop.txt"], note="a file argument"),
    Job(E + "mr_next_word_stats", note="sorted values, two steps"),
    Job(E + "mr_wc"),
    Job(E + "mr_count_lines_right", inputs=("text", "numbers")),
    Job(E + "mr_count_lines_wrong", same=total),
    Job(E + "mr_count_lines_by_file", inputs=("text", "numbers"), same=by_base_name),
    Job(E + "mr_grep", ["-e", "the"], base="local", note="mapper_cmd"),
    Job(E + "mr_grep", ["-e", "absent"], base="local"),
    Job(E + "mr_words_containing_u_freq_count", base="local", note="pre-filter"),
    Job(E + "mr_phone_to_url", inputs=("wet.gz",), note="mapper_raw: a manifest"),
    Job(E + "mr_text_classifier", inputs=("{mrjob}/examples/docs-to-classify/*.txt",), same=json_rows),
    Job(E + "mr_log_sampler", ["--sample-size", "100"], note="all lines: the sample is random"),
    Job(E + "mr_boom", says=["BOOM", "Traceback", "mapper_init", "text"]),
    Job(E + "mr_nick_nack", refused="nicknack.MultipleValueOutputFormat"),
    Job(E + "mr_nick_nack_input_format", refused="nicknack."),
    Job(E + "mr_jar_step_example", ["--examples-jar", "{dir}/some.jar"], refused="some.jar"),
    Job(T + "mr_two_step_job"),
    Job(T + "mr_two_step_hadoop_format_job", refused="FooFormat"),
    Job(T + "mr_sort_values", inputs=("text",)),
    Job(T + "mr_sort_values_and_more"),
    Job(T + "mr_sort_and_group"),
    Job(T + "mr_sort_and_group_reversed_text", same=without_tabs),
    Job(T + "mr_group", same=values_in_any_order),
    Job(T + "mr_partitioner"),
    Job(T + "mr_no_mapper"),
    Job(T + "mr_counting_job"),
    Job(T + "mr_exit_42_job", says=["42"]),
    Job(T + "mr_filter_job", ["--mapper-filter", "rev"], base="local"),
    Job(T + "mr_filter_job", ["--mapper-filter", "cat", "--reducer-filter", "sort"], base="local"),
    Job(T + "mr_filter_job", ["--mapper-filter", "cat", "--combiner-filter", "sort", "--reducer-filter", "cat"], base="local"),
    Job(T + "mr_filter_job", ["--mapper-filter", "grep the"], says=["expected one argument"], note="Hadoop takes no quotes within quotes"),
    Job(T + "mr_cmd_job", ["--mapper-cmd", "rev", "--reducer-cmd", "sort"], base="local"),
    Job(T + "mr_cmd_job", ["--mapper-cmd", "cat", "--combiner-cmd", "cat", "--reducer-cmd", "wc -l", "--reducer-cmd-2", "cat"], base="local", same=total),
    Job(T + "mr_word_freq_count_with_combiner_cmd", base="local"),
    Job(T + "mr_test_cmdenv", ["--cmdenv", "FOO=bar", "--cmdenv", "SOMETHING=x y"]),
    Job(T + "mr_test_jobconf", ["-D", "user.defined=something"], holds=['"mapreduce.task.attempt.id"\t"attempt_', '"user.defined"\t"something"', "text\""]),
    Job(T + "mr_test_per_step_jobconf", ["-D", "user.defined=something"], inputs=("numbers",), holds=['[0, "user.defined"]\t"something"', '[1, "user.defined"]\t"nothing"']),
    Job(T + "mr_upload_attrs_job", holds=['"./README.txt"', '"./empty.tar.gz"', '"./empty"', '"./mr_upload_attrs_job/README.txt"']),
    Job(T + "mr_os_walk_job", ["--files", "{dir}/stop.txt#renamed"], holds=['"./renamed"', "setup-wrapper.sh", "mr_os_walk_job.py", "mrjob.zip"], note="the working folder is a task's own"),
    Job(T + "mr_count_lines_by_filename", inputs=("text", "numbers"), same=by_base_name),
    Job(T + "mr_word_count", inputs=("text", "numbers"), same=by_base_name),
    Job(T + "mr_doubler", ["-n", "3"], inputs=("pairs",), note="three steps"),
    Job(T + "mr_tower_of_powers", ["--n-file", "{dir}/two.txt"], inputs=("numbers",)),
    Job(T + "mr_rot13lib"),
    Job(T + "mr_hadoop_format_job", refused="FooInputFormat"),
    Job(T + "mr_verbose_job", says=["BOOM", "Traceback"]),
    Job(T + "mr_pass_thru_arg_test", ["--chars", "--ignore", "o"]),
    Job(T + "mr_no_runner", same=distinct_lines),
    Job(T + "mr_runner", holds=['"hadoop"']),
    Job(T + "mr_job_where_are_you", inputs=("empty",), holds=["mrjob.zip"], note="the library that was sent"),
    Job(T + "mr_stdin_only"),
    Job(T + "mr_just_a_jar", ["--jar", "{dir}/some.jar"], refused="some.jar"),
]


def skip(why):
    print(f"skipped: {why}")
    sys.exit(SKIPPED)


def has_mrjob(cache):
    """A Python with mrjob, and the folder of its sources, tests included."""
    python, sources = cache / "venv/bin/python", cache / "sources"
    if not sources.exists():
        if sys.version_info >= (3, 13):
            skip("mrjob 0.7.4 needs Python 3.12 or older (it imports `pipes`)")
        subprocess.run([sys.executable, "-m", "venv", cache / "venv"], check=True)
        pip = [python, "-m", "pip", "-q", "--disable-pip-version-check"]
        got = subprocess.run([*pip, "install", MRJOB, "setuptools<81", "warcio"])
        got = got.returncode or subprocess.run([*pip, "download", "--no-deps", "--no-binary", ":all:", "-d", cache, MRJOB]).returncode
        if got:
            skip("mrjob cannot be had from PyPI")
        with tarfile.open(next(cache.glob("mrjob-*.tar.gz"))) as packed:
            packed.extractall(cache / "unpacked")
        next((cache / "unpacked").iterdir()).rename(sources)
    # What a job of the tests sends along, but the package lacks.
    sent = sources / "tests/mr_upload_attrs_job"
    sent.mkdir(exist_ok=True)
    (sent / "README.txt").write_text("hello")
    tarfile.open(sent / "empty.tar.gz", "w:gz").close()
    return python, sources


def lay_out(top):
    for name, text in {"text": TEXT, "numbers": NUMBERS, "pairs": JSON_PAIRS, "stop.txt": "the\nand\nwas\n", "two.txt": "2\n", "some.jar": "", "empty": ""}.items():
        (top / name).write_text(text)
    words = "the whale and the sea were one to Ahab under a burning sun".split()
    book = "\n".join(" ".join(words[(n * n + i * (n % 7)) % len(words)] for i in range(9)) for n in range(5000))
    with gzip.open(top / "book.gz", "wt") as file:
        file.write(book)
    with open(top / "wet.gz", "wb") as file:
        for n in range(20):
            text = f"call us: (415) 555-12{n % 5:02} or else 1-800-555-01{n:02} now"
            # A gzip member a record.
            file.write(gzip.compress(WET.format(host=f"h{n % 4}.example", page=n, length=len(text), text=text).encode()))


def filled(text, top, sources):
    return text.replace("{dir}", str(top)).replace("{mrjob}", str(sources / "mrjob"))


def inputs_of(job, top, sources):
    for name in job.inputs:
        if "{" in name:
            yield from sorted(map(str, sources.glob(name.replace("{mrjob}", "mrjob"))))
        else:
            yield str(top / name)


def run(job, runner, python, sources, top, env):
    command = [python, sources / f"{job.name}.py", "--no-conf", "-r", runner]
    command += [filled(arg, top, sources) for arg in job.args] + list(inputs_of(job, top, sources))
    env = {**env, "PYTHONPATH": str(sources), "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(top / "tmp")}
    return subprocess.run(command, cwd=top, env=env, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", errors="replace", timeout=TIMEOUT_S)


def differences(job, ours, base):
    """What is not as expected, as sentences."""
    for text in job.says or ([job.refused] if job.refused else []):
        if ours.returncode == 0 or text not in ours.stderr:
            return [f"expected to fail and to say `{text}`; ended with {ours.returncode}"]
    if job.says or job.refused:
        return []
    if ours.returncode:
        return [f"ended with {ours.returncode}: {(ours.stderr.strip().splitlines() or [''])[-1][:200]}"]
    if job.holds:
        return [f"`{text}` is not in the output" for text in job.holds if text not in ours.stdout]
    if base.returncode:
        return [f"-r {job.base} itself ended with {base.returncode}: {base.stderr.strip().splitlines()[-1]}"]
    if job.same(ours.stdout) != job.same(base.stdout):
        return [f"output differs: {ours.stdout[:200]!r} for {base.stdout[:200]!r}"]
    return [] if ours.stdout else ["there is no output"] * bool(base.stdout)


@contextlib.contextmanager
def cluster(mapfold, env):
    """The environment in which jobs go to a master with two workers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = "127.0.0.1:%d" % probe.getsockname()[1]
    start = lambda *args: subprocess.Popen([mapfold, *args, "-q"], env=env, stdout=subprocess.DEVNULL)
    started = [start("master", "--listen", address)]
    # Programs have the environment of their worker.
    started += [start("worker", "--master", address, "--slots", "2") for _ in range(2)]
    try:
        yield {"MAPFOLD_MASTER": address}
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mapfold", type=Path)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--cluster", action="store_true")
    parser.add_argument("-k", type=re.compile, default="")
    parser.add_argument("-v", action="store_true")
    args = parser.parse_args()
    mapfold = args.mapfold.resolve()
    with tempfile.TemporaryDirectory(prefix="mapfold-mrjob-") as made:
        top = Path(made).resolve()
        cache = args.cache.resolve() if args.cache else top / "cache"
        cache.mkdir(parents=True, exist_ok=True)
        python, sources = has_mrjob(cache)
        (top / "tmp").mkdir()
        lay_out(top)
        home = top / "hadoop"
        subprocess.run([mapfold, "hadoop-home", home], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        env = {**os.environ, "PATH": f"{python.parent}:{os.environ['PATH']}", "HADOOP_HOME": str(home), "MAPFOLD_HDFS": str(top / "hdfs"), "LC_ALL": "C.UTF-8"}
        env = {name: value for name, value in env.items() if name not in ("HADOOP_PREFIX", "HADOOP_INSTALL", "MRJOB_CONF")}
        jobs = [job for job in JOBS if args.k.search(job.name)]
        with cluster(mapfold, env) if args.cluster else contextlib.nullcontext({}) as more:
            good = sum(compare(job, python, sources, top, {**env, **more}, args.v) for job in jobs)
    print(f"{good} of {len(jobs)} as expected")
    sys.exit(good != len(jobs))


def compare(job, python, sources, top, env, verbose):
    began = time.monotonic()
    ours = run(job, "hadoop", python, sources, top, env)
    seconds = time.monotonic() - began
    alone = job.says or job.refused or job.holds
    base = None if alone else run(job, job.base, python, sources, top, env)
    bad = differences(job, ours, base)
    how = "refused" if job.refused else "fails" if job.says else "told" if job.holds else f"= {job.base}"
    shown = " ".join([job.name.rpartition("/")[2], *job.args])
    print(f"{'DIFFERS' if bad else 'ok':8}{how:10}{seconds:5.1f} s  {shown}" + "".join(f"\n    {line}" for line in bad), flush=True)
    if bad and verbose:
        print(ours.stdout[-3000:], ours.stderr[-6000:], base.stderr[-2000:] if base else "", sep="\n---\n")
    return not bad


if __name__ == "__main__":
    main()
