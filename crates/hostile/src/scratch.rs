//! Readers of files need files, and readers that wait need somebody who waits.

use std::{cell::OnceCell, fs, future::Future, path::Path};

use tokio::runtime::{Builder, Runtime};

/// A folder with these files, gone when it is dropped.
pub(crate) fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap_or(Path::new(""))).expect("a folder");
        fs::write(path, content).expect("a file");
    }
    folder
}

/// Waits on this thread.
pub(crate) fn wait<T>(for_it: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: OnceCell<Runtime> = const { OnceCell::new() };
    }
    RUNTIME.with(|runtime| {
        let started = || Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.get_or_init(started).block_on(for_it)
    })
}
