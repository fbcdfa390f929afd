//! What a full disk looks like.

use std::fs::File;
use std::io;
use std::path::Path;

/// Whether an error says that no bytes, inodes or quota are left: a state of the worker, not a fault of the file.
pub(crate) fn is_no_space(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
