# Our habits. `just` lists them.

default:
    @just --list

# Types and borrows of everything, quickly.
check:
    cargo check --workspace --all-targets

# All tests.
test:
    cargo test --workspace

# The scheduler's simulation over many seeds: just sim 1000000
sim seeds="20000":
    MAPFOLD_SEEDS={{seeds}} cargo test --release -p mapfold-scheduler --lib seeds -- --nocapture

# Master, workers and client over a network in memory that fails, in virtual time: just network 300
network seeds="300":
    MAPFOLD_STACK={{seeds}} cargo test -p mapfold-worker --lib stack -- --nocapture

# The scheduler with 10,000 workers and up to 1,000,000 tasks: time of an event, memory of a task.
scale tasks="1000000" workers="10000":
    MAPFOLD_TASKS={{tasks}} MAPFOLD_WORKERS={{workers}} cargo test --release -p mapfold-scheduler --lib scale -- --nocapture

# The three executions of the MapReduce paper's section 5, and their figure.
paper:
    cargo test --release -p mapfold-scheduler --lib the_papers_sort -- --ignored --nocapture

# What CI runs: format, lints, docs, tests.
ci:
    .ci/run

# Licences, duplicates, sources and advisories of what we depend on.
deny:
    cargo deny check

# The documentation, in a browser.
doc:
    cargo doc --workspace --no-deps --open

# Random kills, pauses and master restarts against real processes: just soak 1800 (MAPFOLD_SOAK_DATA=FOLDER: on text of one's own)
soak seconds="60" seed="1":
    MAPFOLD_SOAK={{seconds}},{{seed}} cargo test -p mapfold-tests soak -- --ignored --nocapture

# The time that a killed worker costs a job: just recovery FOLDER
recovery data:
    MAPFOLD_RECOVERY_DATA={{data}} cargo test -p mapfold-tests time_lost -- --ignored --nocapture

# What is done per record or per key, function by function: just bench -p mapfold-data -- merge
bench *args="-p mapfold-data -p mapfold-job -p mapfold-stock":
    cargo bench {{args}}

# A crate of `mapfold new` and a single file, built by cargo, run, tested: some minutes.
new:
    cargo test -p mapfold-tests --test e2e -- --ignored own_jobs
