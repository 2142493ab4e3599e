//! Bearer tokens, verified with the keys of a JWKS file.

use super::{Principal, signature};
use jsonwebtoken::{
    Algorithm, DecodingKey, Validation, decode, decode_header,
    jwk::{JwkSet, KeyAlgorithm},
};
use serde::Deserialize;
use std::{
    collections::HashMap,
    fs,
    path::PathBuf,
    sync::{PoisonError, RwLock},
};

/// The keys of a JWKS file, and the issuer whose tokens they sign.
pub struct Keys {
    file: PathBuf,
    issuer: String,
    by_id: RwLock<HashMap<String, DecodingKey>>,
}

/// A bearer token's claims, as Cognito's access tokens have them.
#[derive(Deserialize)]
struct Claims {
    token_use: String,
    scope: String,
    client_id: String,
}

impl Keys {
    /// Reads the keys of a JWKS file.
    ///
    /// # Errors
    /// The file cannot be read, is not a JWKS document, or has no key for RS256, the algorithm of
    /// Cognito's tokens.
    pub(super) fn read(file: PathBuf, issuer: String) -> Result<Self, String> {
        let by_id = RwLock::new(read_keys(&file)?);
        let _ = signature::PROVIDER.install_default(); // It fails only if it is already installed.
        Ok(Self {
            file,
            issuer,
            by_id,
        })
    }

    /// Returns whose token this is, or `None` if it is not valid.
    pub(super) fn verify(&self, token: &str) -> Option<Principal> {
        let key = self.find(&decode_header(token).ok()?.kid?)?;
        let mut validation = Validation::new(Algorithm::RS256);
        validation.validate_aud = false; // Access tokens of client credentials have no audience.
        validation.validate_nbf = true;
        validation.set_issuer(&[&self.issuer]);
        validation.set_required_spec_claims(&["exp", "iss"]);
        let claims = decode::<Claims>(token, &key, &validation).ok()?.claims;
        let principal = Principal {
            client_id: Some(claims.client_id),
            scope: claims.scope,
        };
        (claims.token_use == "access").then_some(principal)
    }

    /// Returns the key of an id. If the id is unknown, reads the file again, because keys are
    /// rotated. This costs less than verifying a signature, so attackers gain nothing by inventing
    /// ids.
    fn find(&self, id: &str) -> Option<DecodingKey> {
        let known = || {
            self.by_id
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .get(id)
                .cloned()
        };
        known().or_else(|| {
            match read_keys(&self.file) {
                Ok(keys) => *self.by_id.write().unwrap_or_else(PoisonError::into_inner) = keys,
                // The file may be half written at this moment, so the known keys stay in use.
                Err(error) => tracing::warn!(error, "the JWKS file could not be read again"),
            }
            known()
        })
    }
}

fn read_keys(file: &PathBuf) -> Result<HashMap<String, DecodingKey>, String> {
    let at_file = |error: String| format!("{}: {error}", file.display());
    let text = fs::read_to_string(file).map_err(|error| at_file(error.to_string()))?;
    let set: JwkSet = serde_json::from_str(&text)
        .map_err(|error| at_file(format!("this is no JWKS document: {error}")))?;
    // The algorithm is the key's, never the token's: a token cannot choose a weaker one.
    let usable = set
        .keys
        .iter()
        .filter(|key| key.common.key_algorithm == Some(KeyAlgorithm::RS256));
    let keys: HashMap<_, _> = usable
        .filter_map(|key| Some((key.common.key_id.clone()?, DecodingKey::from_jwk(key).ok()?)))
        .collect();
    if keys.is_empty() {
        Err(at_file("this JWKS document holds no key for RS256".into()))
    } else {
        Ok(keys)
    }
}
