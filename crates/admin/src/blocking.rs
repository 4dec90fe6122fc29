//! Work that waits for the disk.

/// Runs it on a thread that may wait.
pub async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        // These tasks are never cancelled, so it panicked: passed on.
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    }
}
