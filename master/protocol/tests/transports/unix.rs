//! Who may reach a Unix socket, and what stays of it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use mapfold_protocol::{Address, BindError, Listener};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn a_socket_is_private_and_removed_with_its_listener() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made/socket");
    let listener = Listener::bind(&Address::Unix(path.clone())).await.unwrap();
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    drop(listener);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_socket_that_a_dead_process_left_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    Listener::bind(&Address::Unix(path)).await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_no_socket_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("precious");
    std::fs::write(&path, "data").unwrap();
    let error = Listener::bind(&Address::Unix(path.clone()))
        .await
        .unwrap_err();
    assert!(matches!(error, BindError::NoSocket { .. }), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"data");
}

#[tokio::test]
async fn a_folder_that_others_may_write_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    set_mode(folder.path(), 0o777);
    let path = folder.path().join("socket");
    let error = Listener::bind(&Address::Unix(path.clone()))
        .await
        .unwrap_err();
    assert!(matches!(error, BindError::OpenFolder { .. }), "{error}");
    assert!(!path.exists());
}

#[tokio::test]
async fn a_successors_socket_is_not_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let first = Listener::bind(&Address::Unix(path.clone())).await.unwrap();
    std::fs::remove_file(&path).unwrap();
    let _second = Listener::bind(&Address::Unix(path.clone())).await.unwrap();
    drop(first);
    assert!(path.exists());
}
