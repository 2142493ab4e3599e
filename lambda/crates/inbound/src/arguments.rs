//! The command line of a service: none in Lambda, `--listen` elsewhere.
//! (lexopt, because clap would add a tenth to the package for three options.)

use std::{
    io,
    net::{SocketAddr, ToSocketAddrs},
    path::PathBuf,
};

/// The command that the arguments select.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Serve the Runtime API of Lambda.
    Lambda,
    /// Serve HTTP.
    Listen {
        /// The addresses of `--listen`, those of IPv4 first.
        addresses: Vec<SocketAddr>,
        /// The JWKS file and the issuer of tokens; without, requests are not authenticated.
        jwks: Option<(PathBuf, String)>,
    },
    /// Print the help.
    Help,
    /// Print the version.
    Version,
}

impl Command {
    /// Reads the arguments of the process.
    ///
    /// # Errors
    /// An argument is invalid or missing. The message says what to do.
    pub fn from_arguments() -> Result<Self, String> {
        Self::parse(lexopt::Parser::from_env())
    }

    fn parse(mut arguments: lexopt::Parser) -> Result<Self, String> {
        use lexopt::prelude::*;
        let (mut listen, mut jwks, mut issuer) = (None, None, None);
        let mut read = || -> Result<Option<Self>, lexopt::Error> {
            while let Some(argument) = arguments.next()? {
                match argument {
                    Long("listen") => listen = Some(arguments.value()?.string()?),
                    Long("jwks") => jwks = Some(PathBuf::from(arguments.value()?)),
                    Long("issuer") => issuer = Some(arguments.value()?.string()?),
                    Long("version") | Short('V') => return Ok(Some(Self::Version)),
                    Long("help") | Short('h') => return Ok(Some(Self::Help)),
                    other => return Err(other.unexpected()),
                }
            }
            Ok(None)
        };
        if let Some(command) = read().map_err(|error| error.to_string())? {
            return Ok(command);
        }
        let Some(listen) = listen else {
            return Ok(Self::Lambda);
        };
        let jwks = match (jwks, issuer) {
            (None, None) => None,
            (Some(jwks), Some(issuer)) => Some((jwks, issuer)),
            (Some(_), None) => {
                return Err(
                    "--jwks needs --issuer URL, which is the iss of the tokens; see --help".into(),
                );
            }
            (None, Some(_)) => return Err("--issuer needs --jwks FILE; see --help".into()),
        };
        let addresses = addresses(&listen)?;
        let public = addresses.iter().find(|address| !address.ip().is_loopback());
        if let (Some(address), None) = (public, &jwks) {
            return Err(format!(
                "{address} can be reached by others: --jwks FILE is needed to know who may do what"
            ));
        }
        Ok(Self::Listen { addresses, jwks })
    }
}

fn addresses(listen: &str) -> Result<Vec<SocketAddr>, String> {
    let wrong = |error: io::Error| {
        format!("--listen {listen}: {error}; it must be HOST:PORT, such as 127.0.0.1:8080")
    };
    let mut addresses: Vec<_> = listen.to_socket_addrs().map_err(wrong)?.collect();
    addresses.sort_by_key(|address| !address.is_ipv4());
    Ok(addresses)
}
