//! `copy`: copy an image from anywhere to anywhere, or many of them.

use std::{path::PathBuf, sync::Arc};

use clap::{ArgAction, Args};
use portpass_client::{ImageReference, Location, Session, transfer::KnownBlobs};

use super::{
    Context,
    connection::{Connection, explained_operation},
    transfer::{ImageTransfer, Side, TransferArguments},
};
use crate::failure::Failure;

mod filter;
mod gathering;
mod many;
mod place;
mod report;

use filter::Filter;
use gathering::Gathering;
use many::ManyImages;
use place::{Place, Prefix};
use report::{Problem, Report};

/// The arguments.
#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own on the command line")]
pub(crate) struct Arguments {
    /// The source: an image in a registry, oci:FOLDER[:TAG], oci-archive:FILE[:TAG], dir:FOLDER or
    /// docker-archive:FILE[:NAME:TAG]; with a slash at the end, as in HOST/ or HOST/PREFIX/, all repositories there
    #[arg(value_name = "FROM")]
    from: Place,
    /// The target, written in the same way
    #[arg(value_name = "TO")]
    to: Place,
    #[command(flatten)]
    how: TransferArguments,
    /// All tags of the repository or folder FROM
    #[arg(long)]
    all_tags: bool,
    /// All tags of all repositories that are called FROM or are below it; the same as a slash at the end
    #[arg(short, long)]
    recursive: bool,
    /// Say which of many images would be copied, and copy none
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    filter: Filter,
    /// Use plain HTTP with FROM on another machine; credentials are not encrypted
    #[arg(long)]
    from_plain_http: bool,
    /// Use plain HTTP with TO on another machine; credentials are not encrypted
    #[arg(long)]
    to_plain_http: bool,
    /// Certificates (PEM) to trust beside the system's, for FROM
    #[arg(long, value_name = "FILE")]
    from_ca: Option<PathBuf>,
    /// Certificates (PEM) to trust beside the system's, for TO
    #[arg(long, value_name = "FILE")]
    to_ca: Option<PathBuf>,
    /// Check the certificate of FROM; with `false`, an attacker on the network can read passwords and tokens
    #[arg(
        long,
        value_name = "BOOL",
        default_value_t = true,
        action = ArgAction::Set,
        hide_default_value = true
    )]
    from_tls_verify: bool,
    /// Check the certificate of TO; with `false`, an attacker on the network can read passwords and tokens
    #[arg(
        long,
        value_name = "BOOL",
        default_value_t = true,
        action = ArgAction::Set,
        hide_default_value = true
    )]
    to_tls_verify: bool,
}

/// Runs it.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let from_there = Connection {
        plain_http: arguments.from_plain_http,
        ca: arguments.from_ca.clone(),
        tls_verify: arguments.from_tls_verify,
    };
    let to_there = Connection {
        plain_http: arguments.to_plain_http,
        ca: arguments.to_ca.clone(),
        tls_verify: arguments.to_tls_verify,
    };
    match arguments.extent()? {
        Extent::Image(from, to) => {
            let (from, to) = ((from, from_there), (to, to_there));
            ImageTransfer { from, to, how: arguments.how }.run(context).await
        }
        Extent::Tags(from, to) => {
            let ends = (from.to_string(), to.to_string());
            let from = gathering(from, &from_there, None, context)?;
            let known = match &from {
                Gathering::Repository { session, image } if from_there == to_there => {
                    Some((session, image))
                }
                _ => None,
            };
            let to = gathering(to, &to_there, known, context)?;
            let mut report = Report::default();
            arguments.many(&ends.1, context)?.copy(&from, &to, &mut report).await;
            arguments.tell(&report, (&ends.0, &ends.1), context)
        }
        Extent::Registry(from, to) => {
            let session = from_there.session(from.host.clone(), context)?;
            let there = if from.host == to.host && from_there == to_there {
                Arc::clone(&session)
            } else {
                to_there.session(to.host.clone(), context)?
            };
            let ends = (from.to_string(), to.to_string());
            let many = arguments.many(&ends.1, context)?;
            let report = many.copy_registry((&from, &session), (&to, &there)).await?;
            arguments.tell(&report, (&ends.0, &ends.1), context)
        }
    }
}

/// How much is copied.
enum Extent {
    Image(Location, Location),
    Tags(Location, Location),
    Registry(Prefix, Prefix),
}

impl Arguments {
    /// What the ends and the flags mean together.
    fn extent(&self) -> Result<Extent, Failure> {
        let (from, to) = match (self.from.clone(), self.to.clone()) {
            (Place::Image(from), Place::Image(to)) if !self.recursive => (from, to),
            (from, to) => return self.registries(from, to),
        };
        if self.filter.is_of_repositories() {
            return Err(Failure::usage("--include and --exclude choose among many repositories")
                .hint("write a slash at the end of both ends, as in HOST/PREFIX/"));
        }
        if self.all_tags {
            return Ok(Extent::Tags(from, to));
        }
        if self.filter.is_of_tags() || self.dry_run {
            return Err(Failure::usage("one image needs no filter and no rehearsal")
                .hint("--all-tags copies all tags of a repository that a filter means"));
        }
        Ok(Extent::Image(from, to))
    }

    /// Both ends have to be as much as the other.
    fn registries(&self, from: Place, to: Place) -> Result<Extent, Failure> {
        let not = |place: String| {
            Failure::usage(format!("{place} is not a registry, nor a repository without a tag"))
                .hint("all repositories go from HOST/ or HOST/PREFIX/ to another of these")
        };
        match (&from, &to) {
            (Place::Image(one), Place::Registry(_)) | (Place::Registry(_), Place::Image(one))
                if !self.recursive =>
            {
                Err(not(one.to_string()))
            }
            _ => Ok(Extent::Registry(
                from.into_prefix().map_err(not)?,
                to.into_prefix().map_err(not)?,
            )),
        }
    }

    fn many<'a>(&'a self, to: &str, context: &'a Context) -> Result<ManyImages<'a>, Failure> {
        let folder = Location::Folder { path: PathBuf::from(to), name: None };
        Ok(ManyImages {
            how: &self.how,
            filter: &self.filter,
            // Neither a registry nor a folder is limited in what it takes.
            selection: self.how.selection(&folder)?,
            dry_run: self.dry_run,
            known: Arc::new(KnownBlobs::default()),
            context,
        })
    }

    fn tell(&self, report: &Report, ends: (&str, &str), context: &Context) -> Result<(), Failure> {
        report.tell(ends, self.dry_run, self.how.json, context)
    }
}

/// All images of a place; `known` is a session that may be with the same registry.
fn gathering(
    place: Location,
    connection: &Connection,
    known: Option<(&Arc<Session>, &ImageReference)>,
    context: &Context,
) -> Result<Gathering, Failure> {
    let not = |place: &Location| {
        Failure::usage(format!("{place} is one image; --all-tags copies all of a place"))
            .hint("write HOST/REPOSITORY or oci:FOLDER, without a tag")
    };
    match place {
        Location::Registry(image) if image.reference().is_none() => {
            let session = match known {
                Some((session, other)) if other.host() == image.host() => Arc::clone(session),
                _ => connection.session(image.host().clone(), context)?,
            };
            Ok(Gathering::Repository { session, image })
        }
        Location::Folder { path, name: None } => Ok(Gathering::Folder { path }),
        other => Err(not(&other)),
    }
}

impl ManyImages<'_> {
    /// All repositories below one name, to below another.
    async fn copy_registry(
        &self,
        (from, session): (&Prefix, &Arc<Session>),
        (to, there): (&Prefix, &Arc<Session>),
    ) -> Result<Report, Failure> {
        let catalog = session.catalog().await.map_err(|error| {
            explained_operation(error)
                .about(format_args!("source {from}"))
                .hint("a registry without a catalog is copied by repositories: copy --all-tags HOST/REPOSITORY …")
        })?;
        let mut report = Report::default();
        for repository in catalog {
            let Some(rest) = from.rest(&repository).filter(|_| self.filter.means(&repository))
            else {
                continue;
            };
            let target = to.join(rest);
            let from = Gathering::Repository {
                session: Arc::clone(session),
                image: from.image(repository.clone()),
            };
            let Some(target) = target else {
                let said = Failure::new("the repository has no name below TO")
                    .hint("write the target as HOST/NAME/");
                let (from, to) = (from.shown(None), to.to_string());
                report.fails(Problem::new(from, to, Side::Target, &said));
                continue;
            };
            let to = Gathering::Repository { session: Arc::clone(there), image: to.image(target) };
            self.copy(&from, &to, &mut report).await;
        }
        Ok(report)
    }
}
