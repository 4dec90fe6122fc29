//! `token_service.introspection`: who may ask what a token is worth.

use portpass_authority::{
    policy::{Principal, RuleContext},
    service::IntrospectionCallers,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{ConfigError, Files, Located, one_or_many::OneOrMany, policy::refused};

/// Token introspection (RFC 7662) at /oauth/introspect.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IntrospectionSection {
    /// Who may ask: `user:NAME`, `user:SOURCE/NAME`, `group:NAME`, or `signed-in`.
    #[schemars(required)]
    pub to: Option<OneOrMany>,
}

impl IntrospectionSection {
    /// Absent: nobody may.
    pub(crate) fn build(
        typed: Option<Located<Self>>,
        context: &RuleContext,
        files: &Files,
    ) -> Result<Option<IntrospectionCallers>, ConfigError> {
        let key = "token_service.introspection";
        let Some(Located { value: section, place }) = typed else { return Ok(None) };
        let Some(OneOrMany(words)) = section.to else {
            let error = files.error(&place, key, "the key `to` is missing");
            return Err(
                error.hint("name the accounts that may ask, as in `to: [\"user:registry\"]`")
            );
        };
        let key = format!("{key}.to");
        let callers = words.iter().map(|word| {
            let caller = caller(word)
                .map_err(|why| files.error(&place, &key, format!("{word:?}: {why}")))?;
            match context.check(&caller) {
                Ok(()) => Ok(caller),
                Err(problem) => Err(refused(&problem, &place, &key, files)),
            }
        });
        Ok(Some(IntrospectionCallers::new(callers.collect::<Result<_, _>>()?)))
    }
}

fn caller(word: &str) -> Result<Principal, String> {
    let caller: Principal = word.parse().map_err(|error| format!("{error}"))?;
    if matches!(caller, Principal::Anyone | Principal::Anonymous) {
        return Err("who asks about tokens needs an account (RFC 7662 §2.1)".to_owned());
    }
    Ok(caller)
}
