//! Another configuration while the server runs: built whole, then swapped; or the old one stays.

use std::{
    path::PathBuf,
    sync::{Arc, Weak},
};

use super::{State, routers};
use crate::{components::StartError, listeners::listeners};
use portpass_config::Config;

/// Reloads the configuration of a running server. Does not keep it alive.
#[derive(Clone, Debug)]
pub struct ReloadHandle(Weak<State>);

impl ReloadHandle {
    pub(super) fn new(state: &Arc<State>) -> Self {
        Self(Arc::downgrade(state))
    }

    /// Builds everything that `config` means and puts it in the place of what is served. Requests under way
    /// end with what they began with. On an error nothing has changed.
    pub async fn reload(&self, config: Config) -> Result<(), ReloadError> {
        let state = self.0.upgrade().ok_or(ReloadError::Stopped)?;
        let _alone = state.reloading.lock().await;
        let old = state.components.load_full();
        if config.data != old.shared.directory.path() {
            return Err(ReloadError::Data {
                from: old.shared.directory.path().to_path_buf(),
                to: config.data,
            });
        }
        let listeners = listeners(&config);
        let same = listeners.len() == old.listeners.len()
            && listeners.iter().zip(&old.listeners).all(|(new, old)| new.has_socket_of(old));
        if !same {
            return Err(ReloadError::Listeners);
        }
        let new = Arc::new(old.rebuild(config).await?);
        for (kind, service) in &state.services {
            service.replace(Arc::new(routers::router(*kind, &new, &state.health)));
        }
        state.components.store(new.clone());
        state.stop_jobs().await;
        state.start_jobs();
        // In force it is, whatever becomes of the files for others.
        if let Err(error) = new.write_key_files().await {
            tracing::error!("{error}");
        }
        Ok(())
    }
}

/// Why the configuration stays as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// The data directory is another one.
    #[error("the data directory cannot change from {} to {} without a restart", from.display(), to.display())]
    Data {
        /// The one that is used.
        from: PathBuf,
        /// The one that is named now.
        to: PathBuf,
    },
    /// Addresses, or the files of their certificates, are others.
    #[error(
        "addresses, and the paths of their certificates and keys, cannot change without a restart"
    )]
    Listeners,
    /// The new configuration cannot be built.
    #[error(transparent)]
    Start(#[from] StartError),
    /// There is no server any more.
    #[error("the server has stopped")]
    Stopped,
}
