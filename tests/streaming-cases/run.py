#!/usr/bin/env python3
"""Runs recorded Hadoop Streaming cases against a `hadoop` command and compares what comes out.

    python3 run.py CASES_DIR HADOOP_BIN [-j JOBS] [-k TEXT] [-v] [--framework]

A line for each case that differs, then `N of M cases equal`; exit status 0 only when all are equal.
-k keeps the cases whose id or group contains TEXT, -v prints differences in full, --framework also compares
the record counters of Hadoop's own group. CASES_DIR/README.md describes the format of the cases.
"""
import argparse, base64, bz2, collections, concurrent.futures, gzip, hashlib, json, os, shutil, subprocess, sys, tempfile, zlib

FRAMEWORK = "Map-Reduce Framework"
TIMEOUT_S = 120


def content(spec, cases_dir):
    """The bytes that a content value of a case stands for."""
    if isinstance(spec, str):
        return spec.encode()
    if "text" in spec:
        return spec["text"].encode()
    if "b64" in spec:
        return base64.b64decode(spec["b64"])
    if "ref" in spec:
        with open(os.path.join(cases_dir, spec["ref"]), "rb") as f:
            return f.read()
    if "repeat" in spec:
        return content(spec["repeat"], cases_dir) * spec["times"]
    if "seq" in spec:
        first, last = spec["seq"]
        return b"".join(b"%d\n" % n for n in range(first, last + 1))
    if "concat" in spec:
        return b"".join(content(s, cases_dir) for s in spec["concat"])
    raise ValueError(f"unknown content {sorted(spec)}")


def lay_out(case, cases_dir, top):
    os.mkdir(os.path.join(top, "in"))
    for name, spec in case.get("files", {}).items():
        path = os.path.join(top, name)
        if name.endswith("/"):
            os.makedirs(path, exist_ok=True)
            continue
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(content(spec, cases_dir))
        if isinstance(spec, dict) and "mode" in spec:
            os.chmod(path, int(spec["mode"], 8))


def fill(arg, top):
    for name in ("in", "out"):
        arg = arg.replace("{" + name + "}", os.path.join(top, name))
    return arg.replace("{dir}", top)


def parts_of(out):
    """Output files by name, hidden ones left out; compressed ones are compared by what they hold."""
    found = {}
    for folder, _, names in os.walk(out):
        for name in names:
            if name.startswith(("_", ".")) or "/_" in folder[len(out):]:
                continue
            path = os.path.join(folder, name)
            with open(path, "rb") as f:
                data = f.read()
            try:
                data = {".gz": gzip.decompress, ".bz2": bz2.decompress, ".deflate": zlib.decompress}.get(os.path.splitext(name)[1], bytes)(data)
            except (OSError, EOFError, ValueError, zlib.error) as e:
                data = b"<cannot decompress: " + str(e).encode() + b">"
            found[os.path.relpath(path, out)] = data
    return found


def counters_of(log):
    """The last block of counters that follows a `Counters: N` line: {group: {name: amount}}."""
    groups, group, inside = {}, None, False
    for line in log.splitlines():
        if line.startswith("\t") and inside:
            if line.startswith("\t\t"):
                name, eq, amount = line[2:].rpartition("=")
                if group is not None and eq and amount.strip().lstrip("-").isdigit():
                    groups[group][name] = int(amount)
            else:
                group = line[1:]
                groups[group] = {}
        else:
            inside = False
            if "Counters: " in line:
                groups, group, inside = {}, None, True
    return groups


def run(case, cases_dir, hadoop):
    """Runs one case; {exit, parts, success, counters, log}."""
    top = os.path.realpath(tempfile.mkdtemp(prefix="streaming-case-"))
    try:
        lay_out(case, cases_dir, top)
        out = os.path.join(top, "out")
        env = {**os.environ, "LC_ALL": "C.UTF-8", **{k: fill(v, top) for k, v in case.get("env", {}).items()}}
        command = [hadoop, "jar", "hadoop-streaming.jar", *(fill(a, top) for a in case["args"])]
        try:
            done = subprocess.run(command, cwd=top, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TIMEOUT_S)
            code, log = done.returncode, done.stdout.decode(errors="replace")
        except subprocess.TimeoutExpired as e:
            code, log = "timeout", (e.stdout or b"").decode(errors="replace")
        return {"exit": code, "parts": parts_of(out), "success": os.path.exists(os.path.join(out, "_SUCCESS")),
                "counters": counters_of(log), "log": log.replace(top, "{dir}")}
    finally:
        shutil.rmtree(top, ignore_errors=True)


def same(got, want, cases_dir):
    if isinstance(want, dict) and "sha256" in want:
        return len(got) == want["size"] and hashlib.sha256(got).hexdigest() == want["sha256"]
    return got == content(want, cases_dir)


def lines(data):
    return collections.Counter(data.splitlines(keepends=True))


def short(data):
    text = repr(data)[1:]
    return text if len(text) <= 160 else text[:100] + f"...({len(data)} bytes)..." + text[-40:]


def differences(case, expect, got, cases_dir, framework):
    """What differs from one expected result, as sentences; empty when nothing does."""
    if got["exit"] != expect["exit"]:
        return [f"exit {got['exit']}, expected {expect['exit']}; last line: {(got['log'].strip().splitlines() or [''])[-1][:160]}"]
    said = []
    if "success" in expect and got["success"] != expect["success"]:
        said.append("_SUCCESS " + ("missing" if expect["success"] else "present"))
    if "parts" in expect:
        want = expect["parts"]
        how = case["compare"]
        if how == "set-of-parts":
            left = list(got["parts"].items())
            for name, spec in want.items():
                for i, (_, data) in enumerate(left):
                    if same(data, spec, cases_dir):
                        del left[i]
                        break
                else:
                    said.append(f"no part equals the recorded {name}")
            said += [f"{name} is equal to no recorded part: {short(data)}" for name, data in left]
        else:
            said += [f"{name} missing" for name in want.keys() - got["parts"].keys()]
            said += [f"{name} not expected: {short(got['parts'][name])}" for name in got["parts"].keys() - want.keys()]
            for name in sorted(want.keys() & got["parts"].keys()):
                data, spec = got["parts"][name], want[name]
                equal = lines(data) == lines(content(spec, cases_dir)) if how == "set-of-lines" else same(data, spec, cases_dir)
                if not equal:
                    wanted = f"sha256 {spec['sha256']}" if isinstance(spec, dict) and "sha256" in spec else short(content(spec, cases_dir))
                    said.append(f"{name} is {short(data)}, expected {wanted}")
    for group, want in expect.get("counters", {}).items():
        if got["counters"].get(group) != want:
            said.append(f"counters of {group!r} are {got['counters'].get(group)}, expected {want}")
    for group in expect.get("no_counters", []):
        if group in got["counters"]:
            said.append(f"counter group {group!r} not expected: {got['counters'][group]}")
    if framework:
        for name, want in expect.get("framework", {}).items():
            have = got["counters"].get(FRAMEWORK, {}).get(name)
            if have != want:
                said.append(f"{name} = {have}, expected {want}")
    said += [f"log lacks {text!r}" for text in expect.get("stderr_has", []) if text not in got["log"]]
    return said


def check(case, cases_dir, hadoop, framework):
    got = run(case, cases_dir, hadoop)
    said = differences(case, case["expect"], got, cases_dir, framework)
    if said and any(not differences(case, other, got, cases_dir, framework) for other in case.get("also", [])):
        said = []
    return said, got


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("cases_dir")
    p.add_argument("hadoop_bin")
    p.add_argument("-j", "--jobs", type=int, default=os.cpu_count() or 1)
    p.add_argument("-k", "--keep", default="", metavar="TEXT")
    p.add_argument("-v", "--verbose", action="store_true")
    p.add_argument("--framework", action="store_true")
    a = p.parse_args()
    hadoop = shutil.which(a.hadoop_bin) or sys.exit(f"{a.hadoop_bin}: not found or not executable")
    hadoop = os.path.abspath(hadoop)
    with open(os.path.join(a.cases_dir, "cases.jsonl"), encoding="utf-8") as f:
        cases = [json.loads(line) for line in f if line.strip()]
    cases = [c for c in cases if a.keep in c["id"] or a.keep in c["group"]]
    equal = 0
    with concurrent.futures.ThreadPoolExecutor(a.jobs) as pool:
        for case, (said, got) in zip(cases, pool.map(lambda c: check(c, a.cases_dir, hadoop, a.framework), cases)):
            if not said:
                equal += 1
                continue
            print(f"{case['id']}: " + "; ".join(said if a.verbose else [s[:300] for s in said[:3]]), flush=True)
            if a.verbose:
                print("    shows: " + case["shows"] + "\n    log ends: " + "\n        ".join(got["log"].splitlines()[-12:]))
    print(f"{equal} of {len(cases)} cases equal")
    return equal != len(cases)


if __name__ == "__main__":
    sys.exit(main())
