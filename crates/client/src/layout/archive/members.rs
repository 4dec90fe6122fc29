//! The members of a tar archive: where each lies. Nothing is unpacked, so no name of a member ever
//! becomes a path; all the same, names and kinds that no honest archive has are refused.
//!
//! The headers are walked here, and read by the `tar` crate: two readers that disagree on where a
//! member ends are how one archive holds two images (PAX `size` against the header's own).

use std::{
    collections::BTreeMap,
    fs::File,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use portpass_protocol::{Digest, DigestAlgorithm, printable::on_one_line};
use tar::{EntryType, Header, PaxExtensions};

use super::super::{extent::Extent, folder::MAX_DOCUMENT};
use crate::transfer::{LayoutError, MemberFault};

/// All members of one archive.
#[derive(Debug)]
pub(super) struct Members {
    path: PathBuf,
    file: Arc<File>,
    by_name: BTreeMap<String, Member>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Member {
    File {
        start: u64,
        length: u64,
    },
    /// Docker and skopeo point from the old name of a layer to the new one. To another member's name.
    Link(String),
}

impl Members {
    /// Reads all headers.
    pub(super) fn scan(path: &Path) -> Result<Self, LayoutError> {
        let file = File::open(path).map_err(LayoutError::io(path))?;
        let metadata = file.metadata().map_err(LayoutError::io(path))?;
        if !metadata.is_file() {
            return Err(LayoutError::NotRegular { path: path.to_owned() });
        }
        let walk = Walk { path, file: &file, length: metadata.len(), at: 0 };
        let by_name = walk.members()?;
        let members = Self { path: path.to_owned(), file: Arc::new(file), by_name };
        members.check_links()?;
        Ok(members)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where a member's bytes are, if it is there.
    pub(super) fn extent(&self, name: &str) -> Option<Extent> {
        let name = clean(name)?;
        match self.by_name.get(&name)? {
            Member::File { start, length } => Some(self.at(*start, *length)),
            Member::Link(target) => match self.by_name.get(target)? {
                Member::File { start, length } => Some(self.at(*start, *length)),
                Member::Link(_) => None,
            },
        }
    }

    /// A member that is read into memory.
    pub(super) fn document(&self, name: &str) -> Result<Option<Bytes>, LayoutError> {
        let Some(extent) = self.extent(name) else { return Ok(None) };
        let read = extent.all(MAX_DOCUMENT).map_err(LayoutError::io(&self.path))?;
        read.map(Some).ok_or_else(|| refused(&self.path, name, MemberFault::Long))
    }

    /// The members that are called as an OCI image layout calls its blobs.
    pub(super) fn blobs(&self) -> impl Iterator<Item = (Digest, Extent)> {
        self.by_name.keys().filter_map(|name| {
            let (algorithm, hex) = name.strip_prefix("blobs/")?.split_once('/')?;
            let _: DigestAlgorithm = algorithm.parse().ok()?;
            Some((format!("{algorithm}:{hex}").parse().ok()?, self.extent(name)?))
        })
    }

    fn at(&self, start: u64, length: u64) -> Extent {
        Extent { file: Arc::clone(&self.file), start, length }
    }

    fn check_links(&self) -> Result<(), LayoutError> {
        for (name, member) in &self.by_name {
            let Member::Link(target) = member else { continue };
            if !matches!(self.by_name.get(target), Some(Member::File { .. })) {
                return Err(refused(&self.path, name, MemberFault::Link));
            }
        }
        Ok(())
    }
}

/// A walk over the headers of an archive.
struct Walk<'a> {
    path: &'a Path,
    file: &'a File,
    length: u64,
    at: u64,
}

/// What comes before a header and is about it.
#[derive(Default)]
struct Ahead {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
}

impl Walk<'_> {
    fn members(mut self) -> Result<BTreeMap<String, Member>, LayoutError> {
        let mut members = BTreeMap::new();
        let mut ahead = Ahead::default();
        let mut seen = 0_u32;
        while let Some(header) = self.header()? {
            seen += 1;
            let shown = excerpt(ahead.name.as_deref().unwrap_or(&header.path_bytes()));
            if seen > MAX_MEMBERS {
                return Err(refused(self.path, &shown, MemberFault::Many));
            }
            let size = header.entry_size();
            let size = size.map_err(|_| refused(self.path, &shown, MemberFault::Header))?;
            if is_about_the_next(header.entry_type()) {
                let content = self.small(size, &shown)?;
                ahead.take(header.entry_type(), &content, self.path, &shown)?;
                self.skip(size, &shown)?;
                continue;
            }
            let size = ahead.size.unwrap_or(size);
            if let Some((name, member)) = self.member(&header, size, &ahead, &shown)?
                && members.insert(name, member).is_some()
            {
                return Err(refused(self.path, &shown, MemberFault::Duplicate));
            }
            self.skip(size, &shown)?;
            ahead = Ahead::default();
        }
        Ok(members)
    }

    /// The next header; nothing at the two empty blocks that end an archive, or where it ends
    /// without them.
    fn header(&mut self) -> Result<Option<Header>, LayoutError> {
        let mut header = Header::new_old();
        if self.length.saturating_sub(self.at) < BLOCK {
            return if self.at == 0 { Err(self.no_archive()) } else { Ok(None) };
        }
        let block = header.as_mut_bytes();
        self.file.read_exact_at(block, self.at).map_err(LayoutError::io(self.path))?;
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        if !has_checksum(block) {
            return Err(self.no_archive());
        }
        self.at += BLOCK;
        Ok(Some(header))
    }

    /// What a header says, if it is of a file or a link.
    fn member(
        &self,
        header: &Header,
        size: u64,
        ahead: &Ahead,
        shown: &str,
    ) -> Result<Option<(String, Member)>, LayoutError> {
        let fault = |fault| refused(self.path, shown, fault);
        let name = ahead.name.clone().unwrap_or_else(|| header.path_bytes().into_owned());
        let name = String::from_utf8(name).map_err(|_| fault(MemberFault::Traversal))?;
        let member = match header.entry_type() {
            EntryType::Regular | EntryType::Continuous => {
                Member::File { start: self.at, length: size }
            }
            // The root has an empty name.
            EntryType::Directory if name.trim_matches(['.', '/']).is_empty() => return Ok(None),
            EntryType::Directory => {
                clean(name.trim_end_matches('/')).ok_or_else(|| fault(MemberFault::Traversal))?;
                return Ok(None);
            }
            EntryType::Symlink => {
                let target = ahead.link.clone().or_else(|| Some(header.link_name_bytes()?.into()));
                let target = target.and_then(|target| String::from_utf8(target).ok());
                let led = target.and_then(|target| led(&name, &target));
                Member::Link(led.ok_or_else(|| fault(MemberFault::Link))?)
            }
            _ => return Err(fault(MemberFault::Kind)),
        };
        let name = clean(&name).ok_or_else(|| fault(MemberFault::Traversal))?;
        Ok(Some((name, member)))
    }

    /// A long name or PAX records: never more than a path or two.
    fn small(&self, size: u64, shown: &str) -> Result<Vec<u8>, LayoutError> {
        if size > MAX_AHEAD {
            return Err(refused(self.path, shown, MemberFault::Long));
        }
        if self.length.saturating_sub(self.at) < size {
            return Err(refused(self.path, shown, MemberFault::Truncated));
        }
        let mut content = vec![0; usize::try_from(size).unwrap_or_default()];
        self.file.read_exact_at(&mut content, self.at).map_err(LayoutError::io(self.path))?;
        Ok(content)
    }

    /// Goes to where the next header is.
    fn skip(&mut self, size: u64, shown: &str) -> Result<(), LayoutError> {
        let left = self.length.saturating_sub(self.at);
        if left < size {
            return Err(refused(self.path, shown, MemberFault::Truncated));
        }
        self.at += size.next_multiple_of(BLOCK).min(left);
        Ok(())
    }

    fn no_archive(&self) -> LayoutError {
        let mut magic = [0; 2];
        let gzip = self.file.read_exact_at(&mut magic, 0).is_ok() && magic == [0x1f, 0x8b];
        let why = match self.at {
            0 if gzip => "it is compressed; unpack it with `gunzip` first".to_owned(),
            0 => "it does not begin like a tar archive".to_owned(),
            at => format!("there is no member header at byte {at}"),
        };
        LayoutError::NotAnArchive { path: self.path.to_owned(), why }
    }
}

impl Ahead {
    fn take(
        &mut self,
        kind: EntryType,
        content: &[u8],
        path: &Path,
        shown: &str,
    ) -> Result<(), LayoutError> {
        let until_nul = || content.split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
        match kind {
            EntryType::GNULongName => self.name = Some(until_nul()),
            EntryType::GNULongLink => self.link = Some(until_nul()),
            // Comments of the program that packed it; what counts is checked anyway.
            kind => {
                for record in PaxExtensions::new(content) {
                    let damaged = || refused(path, shown, MemberFault::Header);
                    let record = record.map_err(|_| damaged())?;
                    let counts = matches!(record.key_bytes(), b"path" | b"linkpath" | b"size");
                    if counts && kind == EntryType::XGlobalHeader {
                        return Err(damaged());
                    }
                    match record.key_bytes() {
                        b"path" => self.name = Some(record.value_bytes().to_vec()),
                        b"linkpath" => self.link = Some(record.value_bytes().to_vec()),
                        b"size" => {
                            let size = record.value().ok().and_then(|size| size.parse().ok());
                            self.size = Some(size.ok_or_else(damaged)?);
                        }
                        key if key.starts_with(b"GNU.sparse.") => {
                            return Err(refused(path, shown, MemberFault::Kind));
                        }
                        _ => {}
                    }
                }
            }
        }
        Ok(())
    }
}

fn is_about_the_next(kind: EntryType) -> bool {
    matches!(
        kind,
        EntryType::GNULongName
            | EntryType::GNULongLink
            | EntryType::XHeader
            | EntryType::XGlobalHeader
    )
}

/// Sum of all bytes, those of the sum itself taken for blanks.
fn has_checksum(block: &[u8; 512]) -> bool {
    let header = Header::from_byte_slice(block);
    let sum = block
        .iter()
        .enumerate()
        .map(|(at, byte)| u32::from(if (148..156).contains(&at) { b' ' } else { *byte }));
    header.cksum().is_ok_and(|said| said == sum.sum::<u32>())
}

/// A name without `./` before it; `None` if it leads anywhere but down.
fn clean(name: &str) -> Option<String> {
    let name = name.strip_prefix("./").unwrap_or(name);
    let leads_down = |word: &str| !matches!(word, "" | "." | "..");
    let legal = name.split('/').all(leads_down) && !name.contains(['\\', '\0']);
    legal.then(|| name.to_owned())
}

/// The member that a link leads to, if it stays within the archive.
fn led(name: &str, target: &str) -> Option<String> {
    let name = clean(name)?;
    let mut folders: Vec<&str> = name.split('/').collect();
    folders.pop();
    if target.starts_with('/') {
        return None;
    }
    for word in target.split('/') {
        match word {
            ".." => drop(folders.pop()?),
            "." => {}
            word => folders.push(word),
        }
    }
    clean(&folders.join("/"))
}

fn refused(path: &Path, member: &str, fault: MemberFault) -> LayoutError {
    LayoutError::Member { path: path.to_owned(), member: excerpt(member.as_bytes()), fault }
}

fn excerpt(name: &[u8]) -> String {
    on_one_line(&String::from_utf8_lossy(name), 128)
}

const BLOCK: u64 = 512;
/// Members that an archive may have: docker writes four for each layer, and 127 layers at most.
const MAX_MEMBERS: u32 = 65_536;
/// The longest name or PAX record.
const MAX_AHEAD: u64 = 64 * 1024;

#[cfg(test)]
mod tests;
