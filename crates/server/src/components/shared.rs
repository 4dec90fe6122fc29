//! What stays for as long as the process runs, whatever is configured anew.

use std::{
    num::NonZeroUsize,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use portpass_admin::{Administrator, DataDirectory, FirstStart};
use portpass_authority::{
    accounts::last_uses::LastUses,
    audit::{AuditTrail, Writer},
};
use portpass_config::{AccountSource, Adoption, Attempts, Config, TokenService};
use portpass_password::{
    CredentialCache, HashPool, LimitSettings, Limits, PasswordCheck,
    limits::{RateSettings, RequestRates},
    pool::PoolSettings,
};
use portpass_registry::{PullNotes, notification::PullEvents};
use portpass_state::{Db, EventId};
use portpass_storage::{BlobStore, OpenFiles};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::gauge::ConstGauge,
};

use super::{
    StartError,
    store::{Claims, StoreOpener},
};
use crate::{metrics::Metrics, system::System};

/// Data directory, database, passwords, trail.
#[derive(Debug)]
pub(crate) struct SharedState {
    pub(crate) directory: DataDirectory,
    pub(crate) db: Db,
    pub(crate) check: PasswordCheck,
    limits: Arc<Limits>,
    rates: Mutex<Arc<RequestRates>>,
    pub(crate) trail: AuditTrail,
    pub(crate) uses: Arc<LastUses>,
    pub(crate) pulls: Arc<PullNotes>,
    pub(crate) pull_events: Arc<PullEvents>,
    /// Of this process, for who is told of events.
    pub(crate) instance: String,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) system: System,
    /// Of all stores, whichever configuration they are of.
    open_files: OpenFiles,
    claims: Claims,
    /// Taken by whoever runs it.
    writer: Mutex<Option<Writer>>,
}

impl SharedState {
    /// Opens the database of a directory that is ours.
    pub(crate) async fn open(
        directory: DataDirectory,
        config: &Config,
        system: System,
    ) -> Result<Self, StartError> {
        // The directory is locked: no other server changes what repositories hold. Commands do, which is looked for.
        let db = Db::open(&config.database()).await?.with_cache();
        let pool = HashPool::new(PoolSettings::for_cores(system.cores));
        let draw = || {
            let mut key = [0; 32];
            system.random.fill(&mut key);
            key
        };
        let cache = CredentialCache::new(draw(), REMEMBERED, REMEMBER_FOR);
        let limits = Limits::new(LimitSettings::default(), draw());
        let (trail, writer) = AuditTrail::new(db.clone());
        let uses = Arc::new(LastUses::new(db.clone()));
        let mut metrics = Metrics::new();
        let open_files = OpenFiles::new(system.files.blobs, system.files.brief);
        metrics.add_collector(LoadCollector { pool: pool.clone(), open_files: open_files.clone() });
        Ok(Self {
            directory,
            db,
            check: PasswordCheck::new(pool, Arc::new(cache)),
            limits: Arc::new(limits),
            rates: Mutex::new(Arc::new(RequestRates::off())),
            trail,
            uses,
            pulls: Arc::new(PullNotes::new()),
            pull_events: Arc::new(PullEvents::new()),
            instance: uuid(&system),
            metrics: Arc::new(metrics),
            system,
            open_files,
            claims: Claims::default(),
            writer: Mutex::new(Some(writer)),
        })
    }

    /// Makes the administrator, where accounts are in our database.
    pub(crate) async fn install(
        &self,
        config: &Config,
        given: Option<&Path>,
    ) -> Result<Option<Administrator>, StartError> {
        let has_local = |service: &&TokenService| service.accounts.contains(&AccountSource::Local);
        let Some(service) = config.token_service.as_ref().filter(has_local) else {
            return Ok(None);
        };
        let installer = FirstStart {
            data: self.directory.path(),
            db: &self.db,
            pool: self.check.pool(),
            random: &*self.system.random,
            given,
            min_length: service.min_password_length,
            now: self.system.clock.now(),
        };
        Ok(Some(installer.administrator().await?))
    }

    /// A database that is a backup's becomes that of an installation of its own: the blobs of the one that it is a copy
    /// of are not its own.
    pub(crate) async fn prepare_service(&self) -> Result<(), StartError> {
        let now = self.system.clock.now();
        if self.directory.is_backup()? {
            self.db.become_installation(&self.fresh_id(), now).await?;
        }
        self.db.serving_since(now).await?;
        Ok(())
    }

    /// A server runs on the data directory from now on, so that no later backup writes over what happens here. Comes
    /// last: a start that is refused leaves a backup what it is.
    pub(crate) fn put_into_service(&self) -> Result<(), StartError> {
        if self.directory.is_backup()? {
            self.directory.put_into_service()?;
            tracing::info!(
                "{} was a backup, and is an installation from now on",
                self.directory.path().display()
            );
        }
        Ok(())
    }

    fn fresh_id(&self) -> String {
        let mut bits = [0; 16];
        self.system.random.fill(&mut bits);
        format!("{:032x}", u128::from_be_bytes(bits))
    }

    /// The blobs in a directory, which is made if it is not there.
    pub(crate) async fn store(
        &self,
        directory: &Path,
        adoption: Adoption,
    ) -> Result<Arc<dyn BlobStore>, StartError> {
        let random = self.system.random.clone();
        let keys = Arc::new(move || {
            let mut key = [0; 16];
            random.fill(&mut key);
            u128::from_be_bytes(key)
        });
        let opening = StoreOpener {
            db: &self.db,
            keys,
            open_files: self.open_files.clone(),
            installation: self.db.installation(&self.fresh_id()).await?,
            pairing: self.fresh_id(),
            now: self.system.clock.now(),
            adoption,
        };
        opening.open(directory, &self.claims).await
    }

    /// How often passwords may be tried: counted once for all who check them, since an address that guesses at one
    /// listener guesses at the other.
    pub(crate) fn limits(&self, attempts: Attempts) -> Arc<Limits> {
        match attempts {
            Attempts::Limited => self.limits.clone(),
            Attempts::Unlimited => Arc::new(Limits::off()),
        }
    }

    /// How often tokens may be asked for. What was counted stays with the same settings.
    pub(crate) fn rates(&self, settings: RateSettings) -> Arc<RequestRates> {
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        if rates.settings() != settings {
            let mut key = [0; 32];
            self.system.random.fill(&mut key);
            *rates = Arc::new(RequestRates::new(settings, key));
        }
        Arc::clone(&rates)
    }

    /// What writes the trail; there is one.
    pub(crate) fn take_writer(&self) -> Option<Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Another one each time.
fn uuid(system: &System) -> String {
    let mut bits = [0; 16];
    system.random.fill(&mut bits);
    EventId::from_random(bits).to_string()
}

/// What is under way at the moment of a scrape.
#[derive(Debug)]
struct LoadCollector {
    pool: HashPool,
    open_files: OpenFiles,
}

impl Collector for LoadCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let load = self.pool.load();
        let files = self.open_files.held();
        for (name, help, value) in [
            ("password_hashing", "Passwords being hashed", load.hashing),
            ("password_waiting", "Passwords waiting to be hashed", load.waiting),
            ("blob_files", "Open files of blobs in progress", files),
        ] {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}

/// How many credentials that were proved are remembered.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(10_000).expect("not zero");

/// For how long. Whether the account still stands is asked each time.
const REMEMBER_FOR: Duration = Duration::from_mins(5);
