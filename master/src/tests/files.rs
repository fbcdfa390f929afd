//! Files of jobs: a job is taken when all of its files are here, and has them as long as it lasts.

use mapfold_protocol::service::{FileIds, FilePiece};
use mapfold_terms::{ByteSize, FileId, JobFile, JobFileKind};

use super::fake::{Act, Fake};
use super::*;

const BYTES: &[u8] = b"the stop words";

fn side(bytes: &[u8]) -> JobFile {
    JobFile {
        kind: JobFileKind::Side,
        name: "stop".to_owned(),
        bytes: ByteSize(bytes.len() as u64),
        id: FileId(blake3::hash(bytes).into()),
        path: RawPath::from(Path::new("/stop")),
    }
}

async fn submit(bench: &Bench, spec: &JobSpec) -> Result<JobId, Refusal> {
    let desk = bench.master.desk();
    desk.submit(context::current(), spec.clone()).await
}

async fn send(bench: &Bench, bytes: &[u8]) -> Result<u64, Refusal> {
    let desk = bench.master.desk();
    let JobFile { id, bytes: len, .. } = side(bytes);
    let piece = FilePiece(bytes.to_vec());
    desk.send_file(context::current(), id, len, 0, piece).await
}

#[tokio::test(start_paused = true)]
async fn a_job_is_taken_when_its_files_are_here() {
    let settings = Settings {
        files_max: ByteSize(4000),
        ..Settings::default()
    };
    let bench = Bench::with(settings).input("a.txt", 1);
    let file = side(BYTES);
    let mut spec = bench.spec(1);
    spec.files = vec![file.clone()];
    assert_eq!(
        submit(&bench, &spec).await,
        Err(Refusal::UnknownFile(file.id))
    );
    let lacks = bench.master.desk();
    let lacks = lacks
        .lacks(context::current(), FileIds(vec![file.id]))
        .await;
    assert_eq!(lacks.unwrap().0, [file.id]);
    assert_eq!(send(&bench, BYTES).await, Ok(BYTES.len() as u64));
    let job = submit(&bench, &spec).await.unwrap();
    // Said again it is the same job; with other files it is none.
    assert_eq!(submit(&bench, &spec).await, Ok(job));
    send(&bench, b"others").await.unwrap();
    spec.files = vec![side(b"others")];
    assert_eq!(submit(&bench, &spec).await, Err(Refusal::OtherFiles(job)));
    Fake::join(&bench.master, "one", 1)
        .await
        .start(|_, _| Act::Run);
    assert_succeeded(&bench.report(job).await);
    // Where all read them where they are, none need be sent.
    let local = Bench::new().input("a.txt", 1);
    assert!(
        submit(
            &local,
            &JobSpec {
                files: spec.files.clone(),
                ..local.spec(1)
            }
        )
        .await
        .is_ok()
    );
    spec.key = JobKey(u128::MAX);
    spec.files = vec![file; JobFile::MAX + 1];
    let many = submit(&bench, &spec).await;
    assert!(matches!(many, Err(Refusal::TooLong { .. })), "{many:?}");
}
