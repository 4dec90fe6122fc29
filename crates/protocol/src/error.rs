//! Error bodies: the codes of the OCI and distribution specifications, written exactly as
//! distribution writes them (CH9, OC26), and [`reported`] ones, read as far as they can be.

use std::fmt;

use serde::{Serialize, Serializer, ser::SerializeSeq};

use crate::access::Access;

pub mod reported;

/// What went wrong, in the word that clients look for (OC26, OC27).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The blob is not in this repository.
    BlobUnknown,
    /// The upload cannot go on as asked.
    BlobUploadInvalid,
    /// There is no such upload.
    BlobUploadUnknown,
    /// Who asks is known and may not.
    Denied,
    /// Not a digest, or not that of the content.
    DigestInvalid,
    /// A manifest refers to a blob or manifest that is not here.
    ManifestBlobUnknown,
    /// Not a manifest that can be kept.
    ManifestInvalid,
    /// The manifest is not in this repository.
    ManifestUnknown,
    /// A signature of schema 1 is wrong; kept for the clients' tables.
    ManifestUnverified,
    /// Not a repository name.
    NameInvalid,
    /// There is no such repository.
    NameUnknown,
    /// `n` is not a number of results that can be had.
    PaginationNumberInvalid,
    /// An upload's bytes do not follow those that are there.
    RangeInvalid,
    /// The body is not as long as was said.
    SizeInvalid,
    /// Not a tag.
    TagInvalid,
    /// Come back later, and slower.
    TooManyRequests,
    /// Credentials are missing or not good enough.
    Unauthorized,
    /// Something that this service rests on does not answer.
    Unavailable,
    /// Our fault.
    Unknown,
    /// The operation is switched off or not known here.
    Unsupported,
}

impl ErrorCode {
    /// As it stands in the body.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BlobUnknown => "BLOB_UNKNOWN",
            Self::BlobUploadInvalid => "BLOB_UPLOAD_INVALID",
            Self::BlobUploadUnknown => "BLOB_UPLOAD_UNKNOWN",
            Self::Denied => "DENIED",
            Self::DigestInvalid => "DIGEST_INVALID",
            Self::ManifestBlobUnknown => "MANIFEST_BLOB_UNKNOWN",
            Self::ManifestInvalid => "MANIFEST_INVALID",
            Self::ManifestUnknown => "MANIFEST_UNKNOWN",
            Self::ManifestUnverified => "MANIFEST_UNVERIFIED",
            Self::NameInvalid => "NAME_INVALID",
            Self::NameUnknown => "NAME_UNKNOWN",
            Self::PaginationNumberInvalid => "PAGINATION_NUMBER_INVALID",
            Self::RangeInvalid => "RANGE_INVALID",
            Self::SizeInvalid => "SIZE_INVALID",
            Self::TagInvalid => "TAG_INVALID",
            Self::TooManyRequests => "TOOMANYREQUESTS",
            Self::Unauthorized => "UNAUTHORIZED",
            Self::Unavailable => "UNAVAILABLE",
            Self::Unknown => "UNKNOWN",
            Self::Unsupported => "UNSUPPORTED",
        }
    }

    /// What distribution says with it, where there is nothing better to say.
    pub fn message(self) -> &'static str {
        match self {
            Self::BlobUnknown | Self::ManifestBlobUnknown => "blob unknown to registry",
            Self::BlobUploadInvalid => "blob upload invalid",
            Self::BlobUploadUnknown => "blob upload unknown to registry",
            Self::Denied => "requested access to the resource is denied",
            Self::DigestInvalid => "provided digest did not match uploaded content",
            Self::ManifestInvalid => "manifest invalid",
            Self::ManifestUnknown => "manifest unknown",
            Self::ManifestUnverified => "manifest failed signature verification",
            Self::NameInvalid => "invalid repository name",
            Self::NameUnknown => "repository name not known to registry",
            Self::PaginationNumberInvalid => "invalid number of results requested",
            Self::RangeInvalid => "invalid content range",
            Self::SizeInvalid => "provided length did not match content length",
            Self::TagInvalid => "invalid tag",
            Self::TooManyRequests => "too many requests",
            Self::Unauthorized => "authentication required",
            Self::Unavailable => "service unavailable",
            Self::Unknown => "unknown error",
            Self::Unsupported => "the operation is unsupported",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for ErrorCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// One error of a body; its members are written in this order.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ErrorEntry {
    /// The word.
    pub code: ErrorCode,
    /// The sentence. Nothing internal: the client's user reads it.
    pub message: String,
    /// What it is about; left out where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<Detail>,
}

impl ErrorEntry {
    /// The code with its own message and no detail.
    pub fn new(code: ErrorCode) -> Self {
        Self { code, message: code.message().to_owned(), detail: None }
    }

    /// With another message.
    #[must_use]
    pub fn with_message(self, message: impl Into<String>) -> Self {
        Self { message: message.into(), ..self }
    }

    /// With a detail.
    #[must_use]
    pub fn with_detail(self, detail: Detail) -> Self {
        Self { detail: Some(detail), ..self }
    }
}

/// What an error is about.
#[derive(Debug, Clone, PartialEq)]
pub enum Detail {
    /// What a route needed, one element per resource and action; `null` where it needed none (CH9).
    Needed(Vec<Access>),
    /// A digest, a tag, a name.
    Text(String),
    /// An object, as where distribution sends `{"name":"a/b"}`.
    Object(Vec<(&'static str, String)>),
}

impl Serialize for Detail {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Needed(needed) if needed.is_empty() => serializer.serialize_unit(),
            Self::Needed(needed) => {
                let mut list = serializer.serialize_seq(None)?;
                for (access, action) in
                    needed.iter().flat_map(|a| a.actions.iter().map(move |b| (a, b)))
                {
                    list.serialize_element(&AccessRecord {
                        resource_type: &access.resource.resource_type,
                        class: "",
                        name: &access.resource.name,
                        action: action.as_str(),
                    })?;
                }
                list.end()
            }
            Self::Text(text) => serializer.serialize_str(text),
            Self::Object(members) => {
                serializer.collect_map(members.iter().map(|(name, value)| (name, value)))
            }
        }
    }
}

/// Go's struct, whose field names reach the wire as they are (CH9).
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AccessRecord<'a> {
    #[serde(rename = "Type")]
    resource_type: &'a str,
    class: &'a str,
    name: &'a str,
    action: &'a str,
}

/// The body of an answer that is an error: `{"errors":[…]}`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ErrorBody {
    /// At least one; the first decides the status.
    pub errors: Vec<ErrorEntry>,
}

impl ErrorBody {
    /// The body that goes with a challenge: what the route needed is its detail (CH9).
    pub fn unauthorized(needed: &[Access]) -> Self {
        ErrorEntry::new(ErrorCode::Unauthorized).with_detail(Detail::Needed(needed.to_vec())).into()
    }

    /// As it is sent, with the line end that distribution sends too.
    pub fn to_json(&self) -> String {
        let mut json =
            serde_json::to_string(self).unwrap_or_else(|_| String::from(r#"{"errors":[]}"#));
        json.push('\n');
        json
    }
}

impl From<ErrorEntry> for ErrorBody {
    fn from(entry: ErrorEntry) -> Self {
        Self { errors: vec![entry] }
    }
}

impl FromIterator<ErrorEntry> for ErrorBody {
    fn from_iter<I: IntoIterator<Item = ErrorEntry>>(entries: I) -> Self {
        Self { errors: entries.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    /// CH9
    #[test]
    fn an_unauthorized_body_lists_every_action_in_request_order() {
        let needed: Vec<Access> = "repository:foo:pull,push repository:bar:pull"
            .parse::<crate::AccessSet>()
            .unwrap()
            .into_iter()
            .collect();
        assert_snapshot!(ErrorBody::unauthorized(&needed).to_json(), @r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":[{"Type":"repository","Class":"","Name":"foo","Action":"pull"},{"Type":"repository","Class":"","Name":"foo","Action":"push"},{"Type":"repository","Class":"","Name":"bar","Action":"pull"}]}]}"#);
        assert_snapshot!(ErrorBody::unauthorized(&[]).to_json(), @r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":null}]}"#);
    }

    /// OC26
    #[test]
    fn message_and_detail_follow_the_code() {
        let body: ErrorBody = [
            ErrorEntry::new(ErrorCode::ManifestBlobUnknown)
                .with_detail(Detail::Text("sha256:00".into())),
            ErrorEntry::new(ErrorCode::NameUnknown)
                .with_detail(Detail::Object(vec![("name", "a/b".into())])),
            ErrorEntry::new(ErrorCode::TooManyRequests).with_message("wait 3 s"),
        ]
        .into_iter()
        .collect();
        assert_snapshot!(body.to_json(), @r#"{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown to registry","detail":"sha256:00"},{"code":"NAME_UNKNOWN","message":"repository name not known to registry","detail":{"name":"a/b"}},{"code":"TOOMANYREQUESTS","message":"wait 3 s"}]}"#);
    }
}
