//! Called as `hadoop`: what scripts and tools that know Hadoop Streaming ask for.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::cluster::{Cluster, Over};
use crate::sandbox::{Sandbox, skipped, wait_for};

/// A folder with a link to this binary, called as one of Hadoop's programs.
fn program(sandbox: &Sandbox, name: &str) -> PathBuf {
    let link = sandbox.work(name);
    if !link.exists() {
        symlink(env!("CARGO_BIN_EXE_mapfold-lab"), &link).unwrap();
    }
    link
}

fn hadoop(sandbox: &Sandbox, args: &[&str]) -> Output {
    hadoop_with(sandbox, args, &[])
}

fn hadoop_with(sandbox: &Sandbox, args: &[&str], envs: &[(&str, &str)]) -> Output {
    Command::new(program(sandbox, "hadoop"))
        .args(args)
        .current_dir(sandbox.work(""))
        .env("MAPFOLD_HDFS", sandbox.work("hdfs"))
        .env("TMPDIR", sandbox.tmp())
        .env_remove("MAPFOLD_MASTER")
        .env_remove("HADOOP_LOG_DIR")
        .envs(envs.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn ends(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{}", stderr(output));
}

const JAR: [&str; 2] = ["jar", "/nowhere/hadoop-streaming.jar"];

#[test]
fn recorded_cases_come_out_as_with_hadoop() {
    if Command::new("python3").arg("-V").output().is_err() {
        skipped("the recorded cases of Hadoop Streaming need python3, which is not here");
        return;
    }
    let sandbox = Sandbox::new();
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("streaming-cases");
    let ran = Command::new("python3")
        .arg("-B")
        .arg(cases.join("run.py"))
        .arg(&cases)
        .arg(program(&sandbox, "hadoop"))
        .arg("-v")
        .env("TMPDIR", sandbox.tmp())
        .env_remove("MAPFOLD_MASTER")
        .output()
        .unwrap();
    let said = stdout(&ran) + &stderr(&ran);
    assert!(ran.status.success(), "{said}");
    assert!(said.contains("249 of 249 cases equal"), "{said}");
}

#[test]
fn a_user_is_known_without_the_environment() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.work("mine"), "").unwrap();
    let owner = hadoop(&sandbox, &["fs", "-stat", "%u", "mine"]);
    ends(&owner, 0);
    let none = ["HADOOP_USER_NAME", "USER", "LOGNAME"].map(|name| (name, ""));
    let mkdir = ["fs", "-fs", "hdfs:///", "-mkdir", "-p", "x"];
    let made = hadoop_with(&sandbox, &mkdir, &none);
    ends(&made, 0);
    let home = format!("hdfs/user/{}/x", stdout(&owner).trim_end());
    assert!(sandbox.work(&home).is_dir(), "{home}");
}

#[test]
fn a_home_of_hadoop_is_made_and_runs_jobs() {
    let sandbox = Sandbox::new();
    let home = sandbox.work("home");
    let made = Command::new(env!("CARGO_BIN_EXE_mapfold-lab"))
        .arg("hadoop-home")
        .arg(&home)
        .output()
        .unwrap();
    ends(&made, 0);
    assert!(stderr(&made).contains("export HADOOP_HOME="), "{made:?}");
    let jar = home.join("lib/hadoop-streaming-mapfold.jar");
    assert!(jar.exists());
    fs::write(sandbox.work("in.txt"), "b\na\n").unwrap();
    let mapred = Command::new(home.join("bin/mapred"))
        .args(["streaming", "-input", "in.txt", "-output", "out"])
        .args(["-mapper", "cat", "-reducer", "cat"])
        .current_dir(sandbox.work(""))
        .env("TMPDIR", sandbox.tmp())
        .output()
        .unwrap();
    ends(&mapred, 0);
    let rows = fs::read_to_string(sandbox.work("out/part-00000")).unwrap();
    assert_eq!(rows, "a\t\nb\t\n");
    let version = Command::new(home.join("bin/yarn"))
        .arg("version")
        .output()
        .unwrap();
    assert!(stdout(&version).starts_with("Hadoop 3."), "{version:?}");
}

#[test]
fn what_needs_java_is_refused() {
    let sandbox = Sandbox::new();
    let refused = hadoop(&sandbox, &["jar", "hadoop-examples.jar", "pi"]);
    ends(&refused, 1);
    assert!(stderr(&refused).contains("runs no Java"), "{refused:?}");
    let refused = hadoop(&sandbox, &["namenode"]);
    ends(&refused, 1);
    assert!(stderr(&refused).contains("namenode"), "{refused:?}");
}

#[test]
fn a_job_is_told_of_in_lines_that_tools_read() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.work("in.txt"), "a\nb\n").unwrap();
    let job = ["-input", "in.txt", "-output", "hdfs:///user/x/out"];
    let mapper = "sh -c 'echo reporter:counter:g,lines,2 >&2; cat'";
    let programs = ["-mapper", mapper, "-reducer", "cat"];
    let ran = hadoop(&sandbox, &[&JAR[..], &job, &programs].concat());
    ends(&ran, 0);
    let said = stderr(&ran);
    for line in [
        "INFO mapreduce.Job: Running job: job_",
        "INFO mapreduce.Job:  map 100% reduce 100%",
        "INFO mapreduce.Job: Counters: ",
        "\n\tMap-Reduce Framework\n\t\tMap input records=2\n",
        "\n\tg\n\t\tlines=2\n",
        "INFO streaming.StreamJob: Output directory: hdfs:///user/x/out\n",
    ] {
        assert!(said.contains(line), "no `{line}` in {said}");
    }
    assert!(!said.contains('\u{1b}'), "{said}");
    let printed = hadoop(&sandbox, &["fs", "-cat", "hdfs:///user/x/out/*"]);
    assert_eq!(stdout(&printed), "a\t\nb\t\n");
}

#[test]
fn a_failed_attempt_leaves_its_log_where_tools_look() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.work("in.txt"), "a\nb\n").unwrap();
    let mapper = "sh -c 'cat >/dev/null; echo Traceback of mine >&2; exit 3'";
    let job = ["-D", "mapreduce.map.maxattempts=2", "-input", "in.txt"];
    let programs = ["-output", "out", "-mapper", mapper, "-reducer", "NONE"];
    let logs = sandbox.work("logs");
    let envs = [("HADOOP_LOG_DIR", logs.to_str().unwrap())];
    let ran = hadoop_with(&sandbox, &[&JAR[..], &job, &programs].concat(), &envs);
    ends(&ran, 1);
    let said = stderr(&ran);
    assert!(said.ends_with("Streaming Command Failed!\n"), "{said}");
    let attempts = said.matches("Status : FAILED").count();
    assert_eq!(attempts, 2, "{said}");
    assert!(said.contains("subprocess failed with code 3"), "{said}");
    let applications: Vec<_> = fs::read_dir(logs.join("userlogs")).unwrap().collect();
    assert_eq!(applications.len(), 1);
    let application = applications[0].as_ref().unwrap().path();
    let mut left: Vec<PathBuf> = fs::read_dir(&application)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    left.sort();
    assert_eq!(left.len(), 2);
    let first = left[0].file_name().unwrap().to_str().unwrap();
    assert!(first.starts_with("attempt_") && first.ends_with("_m_000000_0"));
    let log = fs::read_to_string(left[0].join("stderr")).unwrap();
    assert!(log.contains("Traceback of mine"), "{log}");
    let log = fs::read_to_string(left[0].join("syslog")).unwrap();
    let split = format!(
        "Processing split: file:{}:0+4",
        sandbox.work("in.txt").display()
    );
    assert!(log.contains(&split), "{log}");
    assert!(log.contains("\n\tat "), "{log}");
}

#[test]
fn files_are_listed_in_the_form_that_tools_read() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.work("a.txt"), "12345").unwrap();
    let done = |args: &[&str], code: i32| {
        let ran = hadoop(&sandbox, &[&["fs"], args].concat());
        ends(&ran, code);
        (stdout(&ran), stderr(&ran))
    };
    done(&["-mkdir", "-p", "hdfs:///user/x/tmp"], 0);
    done(&["-put", "a.txt", "hdfs:///user/x/tmp/a.txt"], 0);
    let (listed, _) = done(&["-ls", "-R", "hdfs:///user"], 0);
    let lines: Vec<&str> = listed.lines().collect();
    assert_eq!(lines.len(), 3, "{listed}");
    assert!(lines[0].starts_with("drwx"), "{listed}");
    let fields: Vec<&str> = lines[2].split_whitespace().collect();
    assert_eq!(fields.len(), 8, "{listed}");
    assert_eq!((fields[1], fields[4]), ("1", "5"));
    assert_eq!(fields[6].as_bytes()[2], b':');
    assert_eq!(fields[7], "hdfs:///user/x/tmp/a.txt");
    let (_, said) = done(&["-ls", "hdfs:///nosuch"], 1);
    assert_eq!(said, "ls: `hdfs:///nosuch': No such file or directory\n");
    let (usage, _) = done(&["-du", "hdfs:///user/x/tmp/*"], 0);
    assert!(
        usage.starts_with("5  5  hdfs:///user/x/tmp/a.txt"),
        "{usage}"
    );
    let (removed, _) = done(&["-rm", "-R", "-f", "-skipTrash", "hdfs:///user/x"], 0);
    assert_eq!(removed, "Deleted hdfs:///user/x\n");
    done(&["-test", "-e", "hdfs:///user/x"], 1);
}

#[test]
fn a_job_runs_on_the_cluster_that_the_environment_names() {
    let sandbox = Sandbox::new();
    let cluster = Cluster::start(&sandbox, Over::Tcp, 1);
    fs::write(sandbox.work("in.txt"), "b\na\n").unwrap();
    let args = ["-input", "in.txt", "-mapper", "cat", "-reducer", "cat"];
    let here: &[(&str, &str)] = &[];
    let there: &[(&str, &str)] = &[("MAPFOLD_MASTER", &cluster.address)];
    let out = ["-output", "out"];
    ends(
        &hadoop_with(&sandbox, &[&JAR[..], &args, &out].concat(), there),
        0,
    );
    let rows = fs::read_to_string(sandbox.work("out/part-00000")).unwrap();
    assert_eq!(rows, "a\t\nb\t\n");
    let jt = ["-jt", cluster.address.as_str(), "-output", "out2"];
    ends(
        &hadoop_with(&sandbox, &[&JAR[..], &args, &jt].concat(), here),
        0,
    );
    let jobs = sandbox.run(["jobs", "--master", &cluster.address]);
    let listed = String::from_utf8_lossy(&jobs.stdout);
    assert_eq!(listed.matches("streaming").count(), 2, "{listed}");
    let local = ["-jt", "local", "-output", "out3"];
    ends(
        &hadoop_with(&sandbox, &[&JAR[..], &args, &local].concat(), there),
        0,
    );
    // Nobody waits for this one.
    let background = ["-background", "-output", "out4"];
    ends(
        &hadoop_with(&sandbox, &[&JAR[..], &args, &background].concat(), there),
        0,
    );
    wait_for("the job in the background to end", || {
        sandbox.work("out4/_SUCCESS").exists().then_some(())
    });
}
