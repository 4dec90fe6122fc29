//! The tree of a distribution registry, as its version 2 and 3 leave it. It is only read, and may change meanwhile:
//! what is gone when it is looked at was not there.
//!
//! ```text
//! docker/registry/v2/blobs/sha256/HH/HEX/data
//!                    repositories/NAME/_layers/ALGORITHM/HEX/link
//!                                      _manifests/revisions/ALGORITHM/HEX/link
//!                                      _manifests/tags/TAG/current/link
//!                                      _uploads/                              no one's concern
//! ```
//! A link is a file that says a digest, and a claim: `garbage-collect` leaves links to blobs that it has removed. The
//! link of a sha512 layer says the sha256 digest that its blob lies under.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

use portpass_protocol::{Digest, RepositoryName, Tag, manifest};

use super::{ImportError, problem::Problem};

/// The tree.
#[derive(Debug)]
pub(super) struct Tree {
    v2: PathBuf,
}

/// A repository in it.
#[derive(Debug, Clone)]
pub(super) struct TreeRepository {
    pub(super) name: RepositoryName,
    folder: PathBuf,
}

/// What the links of a repository claim.
#[derive(Debug, Default)]
pub(super) struct Links {
    pub(super) revisions: Vec<Link>,
    /// Where the blob of a layer lies, by the digest that manifests call it.
    pub(super) layers: HashMap<Digest, Digest>,
    pub(super) tags: Vec<(Tag, Link)>,
}

/// A digest by which something is known, and the one that its link says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link {
    pub(super) name: Digest,
    pub(super) target: Digest,
    /// When it was made.
    pub(super) written: SystemTime,
}

impl Tree {
    /// `path` is distribution's `rootdirectory`, or a folder in it on the way to `v2`.
    pub(super) fn open(path: &Path) -> Result<Self, ImportError> {
        let below = ["docker/registry/v2", "registry/v2", "v2", ""];
        let mut candidates = below.iter().map(|below| path.join(below));
        match candidates.find(|v2| v2.join("repositories").is_dir()) {
            Some(v2) => Ok(Self { v2 }),
            None => Err(ImportError::NoTree { path: path.to_owned() }),
        }
    }

    pub(super) fn root(&self) -> &Path {
        &self.v2
    }

    /// All repositories, by name.
    pub(super) fn repositories(
        &self,
        problems: &mut Vec<Problem>,
    ) -> Result<Vec<TreeRepository>, ImportError> {
        let root = self.v2.join("repositories");
        let (mut found, mut folders) = (Vec::new(), vec![(String::new(), root)]);
        while let Some((prefix, folder)) = folders.pop() {
            let mut is_repository = false;
            for name in folders_in(&folder, problems)? {
                if name.starts_with('_') {
                    is_repository = true;
                    continue;
                }
                let path = folder.join(&name);
                let below = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
                folders.push((below, path));
            }
            if is_repository && !prefix.is_empty() {
                match prefix.parse() {
                    Ok(name) => found.push(TreeRepository { name, folder }),
                    Err(_) => problems.push(Problem::repository_name(&prefix)),
                }
            }
        }
        found.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(found)
    }

    /// Where the bytes of a digest lie, if they are here.
    pub(super) fn blob(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        let algorithm = digest.algorithm().as_str();
        self.v2.join("blobs").join(algorithm).join(&hex[..2]).join(&hex).join("data")
    }

    /// The bytes of a manifest; `None` where there are none, or more than a manifest has.
    pub(super) fn manifest(&self, digest: &Digest) -> Result<Option<Vec<u8>>, ImportError> {
        let path = self.blob(digest);
        let Some(file) = there(File::open(&path), &path)? else { return Ok(None) };
        let mut bytes = Vec::new();
        let most = manifest::MAX_LENGTH as u64 + 1;
        let read = file.take(most).read_to_end(&mut bytes);
        read.map_err(|source| ImportError::Tree { path, source })?;
        Ok(Some(bytes))
    }
}

impl TreeRepository {
    /// What it claims to hold.
    pub(super) fn links(&self, problems: &mut Vec<Problem>) -> Result<Links, ImportError> {
        let Self { name, folder } = self;
        let manifests = folder.join("_manifests");
        let revisions = digests_in(name, &manifests.join("revisions"), problems)?;
        let layers = digests_in(name, &folder.join("_layers"), problems)?;
        let mut tags = Vec::new();
        for text in folders_in(&manifests.join("tags"), problems)? {
            let Ok(tag) = text.parse::<Tag>() else {
                problems.push(Problem::tag_name(name, &text));
                continue;
            };
            let folder = manifests.join("tags").join(&text);
            match read_link(&folder.join("current/link"))? {
                LinkFile::Says(target, written) => {
                    tags.push((tag, Link { name: target, target, written }));
                }
                LinkFile::Nonsense => problems.push(Problem::unreadable_link(name, tag.as_str())),
                // A whole folder goes with its tag.
                LinkFile::Absent if folder.exists() => {
                    problems.push(Problem::tag_without_link(name, &tag));
                }
                LinkFile::Absent => {}
            }
        }
        let layers = layers.into_iter().map(|link| (link.name, link.target)).collect();
        Ok(Links { revisions, layers, tags })
    }
}

/// The digests that have a link below `ALGORITHM/HEX`. A folder without a link is what a delete leaves.
fn digests_in(
    repository: &RepositoryName,
    folder: &Path,
    problems: &mut Vec<Problem>,
) -> Result<Vec<Link>, ImportError> {
    let mut found = Vec::new();
    for algorithm in folders_in(folder, problems)? {
        for hex in folders_in(&folder.join(&algorithm), problems)? {
            let text = format!("{algorithm}:{hex}");
            let link = read_link(&folder.join(&algorithm).join(&hex).join("link"))?;
            match (text.parse(), link) {
                (_, LinkFile::Absent) => {}
                (Ok(name), LinkFile::Says(target, written)) => {
                    found.push(Link { name, target, written });
                }
                _ => problems.push(Problem::unreadable_link(repository, &text)),
            }
        }
    }
    Ok(found)
}

/// The names of the folders in a folder. A symbolic link is not followed: it may lead in a circle.
fn folders_in(folder: &Path, problems: &mut Vec<Problem>) -> Result<Vec<String>, ImportError> {
    let failed = |source| ImportError::Tree { path: folder.to_owned(), source };
    let Some(entries) = there(fs::read_dir(folder), folder)? else { return Ok(Vec::new()) };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let Some(kind) = there(entry.file_type(), &entry.path())? else { continue };
        match entry.file_name().into_string() {
            Ok(name) if kind.is_dir() => names.push(name),
            Ok(_) if kind.is_symlink() => problems.push(Problem::symbolic_link(&entry.path())),
            Ok(_) => {}
            Err(name) => problems.push(Problem::repository_name(&name.to_string_lossy())),
        }
    }
    names.sort();
    Ok(names)
}

/// What is in the place of a link.
enum LinkFile {
    Says(Digest, SystemTime),
    Nonsense,
    Absent,
}

fn read_link(path: &Path) -> Result<LinkFile, ImportError> {
    let Some(file) = there(File::open(path), path)? else { return Ok(LinkFile::Absent) };
    let failed = |source| ImportError::Tree { path: path.to_owned(), source };
    let written = file.metadata().and_then(|metadata| metadata.modified()).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(LONGEST_LINK).read_to_end(&mut bytes).map_err(failed)?;
    let text = str::from_utf8(&bytes).ok().map(str::trim);
    Ok(match text.and_then(|text| text.parse().ok()) {
        Some(digest) => LinkFile::Says(digest, written),
        None => LinkFile::Nonsense,
    })
}

/// What is not there is no failure.
fn there<T>(result: io::Result<T>, path: &Path) -> Result<Option<T>, ImportError> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            Ok(None)
        }
        Err(source) => Err(ImportError::Tree { path: path.to_owned(), source }),
    }
}

/// A digest has 135 bytes at the most.
const LONGEST_LINK: u64 = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, path: &str, content: &str) {
        let path = root.join("docker/registry/v2").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    #[test]
    fn links_are_read_as_distribution_leaves_them() {
        let root = tempfile::tempdir().unwrap();
        let (one, two) = (Digest::sha256(b"1"), Digest::sha256(b"2"));
        let wide = Digest::of(portpass_protocol::DigestAlgorithm::Sha512, b"2");
        let revisions = "repositories/a/b/_manifests/revisions";
        write(root.path(), &format!("{revisions}/sha256/{}/link", one.hex()), &one.to_string());
        write(root.path(), &format!("{revisions}/sha256/{}/link", two.hex()), "sha256:");
        write(root.path(), &format!("{revisions}/md5/ab/link"), "md5:ab");
        let deleted = root.path().join("docker/registry/v2").join(revisions).join("sha256/ffff");
        fs::create_dir_all(deleted).unwrap();
        let layers = "repositories/a/b/_layers";
        write(root.path(), &format!("{layers}/sha512/{}/link", wide.hex()), &two.to_string());
        let tags = "repositories/a/b/_manifests/tags";
        write(root.path(), &format!("{tags}/v1/current/link"), &one.to_string());
        write(root.path(), &format!("{tags}/half/index/sha256/x/link"), "");
        write(root.path(), &format!("{tags}/_-_/current/link"), &one.to_string());
        write(root.path(), "repositories/A/_uploads/x/data", "");
        write(root.path(), "repositories/a/_layers/sha256/x/other", "");
        std::os::unix::fs::symlink(
            root.path(),
            root.path().join("docker/registry/v2/repositories/circle"),
        )
        .unwrap();

        let tree = Tree::open(root.path()).unwrap();
        let mut problems = Vec::new();
        let repositories = tree.repositories(&mut problems).unwrap();
        let names: Vec<&str> = repositories.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["a", "a/b"]);
        let links = repositories[1].links(&mut problems).unwrap();
        assert_eq!(links.revisions.len(), 1);
        assert_eq!((links.revisions[0].name, links.revisions[0].target), (one, one));
        assert_eq!(links.layers, HashMap::from([(wide, two)]));
        assert_eq!(links.tags.len(), 2, "{:?}", links.tags);
        let mut kinds: Vec<&str> = problems.iter().map(|problem| problem.kind).collect();
        kinds.sort_unstable();
        let expected = ["link", "link", "name", "symbolic-link", "tag-without-link"];
        assert_eq!(kinds, expected, "{problems:#?}");
    }

    #[test]
    fn a_tree_is_found_from_any_folder_on_the_way_and_nowhere_else() {
        let root = tempfile::tempdir().unwrap();
        assert!(matches!(Tree::open(root.path()), Err(ImportError::NoTree { .. })));
        write(root.path(), "repositories/a/_layers/x", "");
        for below in ["", "docker", "docker/registry", "docker/registry/v2"] {
            let tree = Tree::open(&root.path().join(below)).unwrap();
            assert!(tree.root().ends_with("docker/registry/v2"), "{below}");
        }
    }
}
