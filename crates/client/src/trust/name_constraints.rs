//! For which names an authority may sign (RFC 5280 §4.2.1.10). DNS names and addresses are judged here, as Go and
//! OpenSSL judge them: by every alternative name of every certificate below, not by the one that was asked for.

use x509_parser::{
    certificate::X509Certificate,
    der_parser::asn1_rs::{Any, FromDer as _, Sequence},
    extensions::{GeneralName, GeneralSubtree, NameConstraints},
    oid_registry::OID_X509_EXT_NAME_CONSTRAINTS,
};

use super::{
    CertificateFault,
    certificate::common_name,
    rules::{CommonName, DirectoryName, Rules},
};

/// Whether an authority may stand above these certificates, as far as names go.
pub(super) fn verify(
    rules: Rules,
    authority: &X509Certificate<'_>,
    below: &[&X509Certificate<'_>],
) -> Result<(), CertificateFault> {
    let bound = match authority.name_constraints() {
        Ok(None) => return Ok(()),
        Ok(Some(bound)) if is_read_whole(authority, bound.value) => bound,
        _ => return Err(CertificateFault::Extension),
    };
    let subtrees = Subtrees {
        permitted: bound.value.permitted_subtrees.as_deref().unwrap_or_default(),
        excluded: bound.value.excluded_subtrees.as_deref().unwrap_or_default(),
    };
    if subtrees.have(|base| matches!(base, GeneralName::DirectoryName(_))) {
        match (rules.directory_name, bound.critical) {
            (DirectoryName::Counts, _) => return Err(CertificateFault::UnjudgedConstraint),
            (DirectoryName::NotUnderstood, true) => return Err(CertificateFault::Extension),
            (DirectoryName::NotUnderstood, false) => {}
        }
    }
    below.iter().try_for_each(|certificate| subtrees.verify(rules, certificate))
}

/// Whether nothing of the extension was passed over.
fn is_read_whole(authority: &X509Certificate<'_>, bound: &NameConstraints<'_>) -> bool {
    let read = [&bound.permitted_subtrees, &bound.excluded_subtrees];
    let read = read.into_iter().flatten().count();
    let Ok(Some(extension)) = authority.get_extension_unique(&OID_X509_EXT_NAME_CONSTRAINTS) else {
        return false;
    };
    let Ok((_, sequence)) = Sequence::from_der(extension.value) else { return false };
    let parts: Result<Vec<Any<'_>>, _> = sequence.der_iter::<Any<'_>, _>().collect();
    read > 0 && parts.is_ok_and(|parts| parts.len() == read)
}

struct Subtrees<'a> {
    permitted: &'a [GeneralSubtree<'a>],
    excluded: &'a [GeneralSubtree<'a>],
}

impl Subtrees<'_> {
    fn verify(
        &self,
        rules: Rules,
        certificate: &X509Certificate<'_>,
    ) -> Result<(), CertificateFault> {
        match certificate.subject_alternative_name() {
            Ok(Some(names)) => {
                names.value.general_names.iter().try_for_each(|name| self.judge_name(name))
            }
            Ok(None) if rules.common_name == CommonName::Counts => {
                // Where it counts as a name, it is bound as one.
                let common = common_name(certificate.subject()).filter(|name| is_host(name));
                common.map_or(Ok(()), |name| self.judge_name(&GeneralName::DNSName(name)))
            }
            Ok(None) => Ok(()),
            Err(_) => Err(CertificateFault::Unreadable),
        }
    }

    /// Names of a kind that no subtree speaks of are free. What a star stands for is not judged here.
    fn judge_name(&self, name: &GeneralName<'_>) -> Result<(), CertificateFault> {
        let covered = |all: &[GeneralSubtree<'_>]| -> Result<Option<bool>, CertificateFault> {
            let same_kind = |one: &&GeneralSubtree<'_>| {
                std::mem::discriminant(&one.base) == std::mem::discriminant(name)
            };
            let mut of_its_kind = None;
            for one in all.iter().filter(same_kind) {
                let is_in =
                    contains(&one.base, name).ok_or(CertificateFault::UnjudgedConstraint)?;
                of_its_kind = Some(of_its_kind.unwrap_or(false) || is_in);
            }
            Ok(of_its_kind)
        };
        let has_star = matches!(name, GeneralName::DNSName(name) if name.contains('*'));
        match (covered(self.excluded)?, covered(self.permitted)?) {
            (Some(true), _) | (_, Some(false)) => Err(CertificateFault::Constraint),
            (Some(false), _) if has_star => Err(CertificateFault::UnjudgedConstraint),
            _ => Ok(()),
        }
    }

    fn have(&self, kind: impl Fn(&GeneralName<'_>) -> bool) -> bool {
        self.permitted.iter().chain(self.excluded).any(|subtree| kind(&subtree.base))
    }
}

/// Whether a subtree has this name of its kind in it; `None` where that is not judged here.
fn contains(base: &GeneralName<'_>, name: &GeneralName<'_>) -> Option<bool> {
    match (base, name) {
        (GeneralName::DNSName(base), GeneralName::DNSName(name)) => Some(is_below(name, base)),
        (GeneralName::IPAddress(base), GeneralName::IPAddress(address)) => is_in(address, base),
        _ => None,
    }
}

/// `example.com` has itself and all below it, `.example.com` only what is below, and the empty name has all.
fn is_below(name: &str, base: &str) -> bool {
    if base.is_empty() {
        return true;
    }
    let (below_alone, base) =
        base.strip_prefix('.').map_or((false, base), |without| (true, without));
    let name: Vec<&str> = name.split('.').rev().collect();
    let base: Vec<&str> = base.split('.').rev().collect();
    let long_enough = name.len() >= base.len() + usize::from(below_alone);
    long_enough && name.iter().zip(&base).all(|(own, other)| own.eq_ignore_ascii_case(other))
}

/// Whether an address is in a network, which is an address and a mask as long. A mask with holes is not judged.
fn is_in(address: &[u8], network: &[u8]) -> Option<bool> {
    let (start, mask) = network.split_at_checked(network.len() / 2)?;
    let ones = mask.iter().map(|byte| byte.leading_ones()).take_while(|ones| *ones == 8).count();
    let after = mask.get(ones..)?;
    let has_holes = after.iter().enumerate().any(|(at, byte)| {
        let bits = if at == 0 { byte.leading_ones() } else { 0 };
        byte.count_ones() != bits
    });
    if has_holes || !matches!(mask.len(), 4 | 16) || start.len() != mask.len() {
        return None;
    }
    let same = |((own, start), mask): ((&u8, &u8), &u8)| own & mask == start & mask;
    Some(address.len() == mask.len() && address.iter().zip(start).zip(mask).all(same))
}

/// Whether a common name looks like the name of a host.
fn is_host(name: &str) -> bool {
    name.contains('.')
        && name.split('.').all(|label| {
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
            !label.is_empty() && (label == "*" || label.chars().all(fits))
        })
}
