//! The third stage of an enclave: it answers callers, until it is asked to end or a successor has
//! shown that it may take over.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use kms::engine::{Engine, EngineConfig};
use kms::key_pair::AwsLcKeyPairs;
use kms::state::State;
use link::Listener;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use crate::Task;
use crate::audit;
use crate::clock::Clock;
use crate::config::{Limits, RequestQuotas, RootKeyConfig};
use crate::counters::Counters;
use crate::driver::{Driver, Stepper};
use crate::error::EnclaveError;
use crate::handing_off::HandingOff;
use crate::health::Health;
use crate::http::{Front, Server};
use crate::identity::{PublicIdentity, Situation};
use crate::key_pairs::KeyPairsAhead;
use crate::life::{Enclave, Provisioned};
use crate::log::Notice;
use crate::opening::Opened;
use crate::operators::{Holders, Operators, Successor};
use crate::polling;
use crate::sealed_keys::open_keys;
use crate::store::Store;
use crate::time_check;
use crate::tls::Https;
use crate::writer::{Current, Writer};

/// An enclave that answers callers.
pub(crate) struct Serving {
    enclave: Enclave,
    https: Option<Https>,
    /// Who holds the shares, where operators do.
    holders: Option<Holders>,
    listener: Listener,
    server: Server,
    stepper: Arc<Stepper>,
    writer: Task<Result<(), EnclaveError>>,
    /// Opens the keys that are still sealed.
    opening: Task<Result<(), EnclaveError>>,
    audit: Task<()>,
    /// Those who may take over.
    successors: mpsc::Receiver<Successor>,
    _time_check: Task<()>,
}

/// How it ended.
pub(crate) enum Ended {
    /// As it was asked to.
    Stopped,
    /// For another enclave.
    HandingOff(Box<HandingOff>),
}

impl Serving {
    /// Listens, and starts all that works beside the answers.
    pub(crate) async fn begin(provisioned: Provisioned) -> Result<Self, EnclaveError> {
        let Provisioned {
            enclave,
            opened,
            https,
        } = provisioned;
        let Enclave {
            config,
            nsm,
            clock,
            random,
            ..
        } = &enclave;
        let (clock, limits) = (*clock, config.limits.clone());
        let listener = link::listen(&config.listen).await;
        let listener = listener.map_err(|source| EnclaveError::Listen {
            address: config.listen.clone(),
            source,
        })?;
        let counters = Arc::new(Counters {
            reseeds: Arc::clone(&enclave.reseeds),
            ..Counters::default()
        });
        let (audit, delivery) = audit::channel(
            config.host.clone(),
            limits.audit_queue,
            Arc::clone(&counters),
            https.as_ref().map(|https| https.ca_pem.clone()),
            clock,
            random.clone(),
        );
        let verifier = enclave.verifier()?;
        let health = Health {
            own_root: nsm.trust_root().clone(),
            trusted: verifier.roots().to_vec(),
            accept_debug: config.trust.accept_debug,
        };
        let (successor, successors) = mpsc::channel(1);
        let (root_key, root_keys) = mpsc::channel(1);
        let (keys, new_keys) = mpsc::channel(1);
        let operators = match &config.root_key {
            RootKeyConfig::Quorum => {
                let roots = verifier.roots();
                let operators = Operators::new(&enclave, roots, &opened, successor, root_key);
                Some(Arc::new(operators.await?))
            }
            RootKeyConfig::DevFile(_) => None,
        };
        let key_pairs = KeyPairsAhead::new(AwsLcKeyPairs, &limits, Arc::clone(&counters));
        let holders = operators.as_ref().map(|operators| operators.holders());
        let stepper = Arc::new(Stepper {
            engine: Engine::new(engine_config(&limits, clock), verifier, Arc::new(key_pairs)),
            current: Current::new(opened.state),
            clock,
            random: random.clone(),
            audit,
            counters: Arc::clone(&counters),
        });
        let (waiting, queue) = mpsc::channel(limits.commit_queue);
        let (right, right_time) = mpsc::channel(1);
        let writer = Writer {
            queue,
            root_keys,
            new_keys,
            right_time,
            stepper: Arc::clone(&stepper),
            store: opened.store,
        };
        let front = Front::Callers {
            driver: Arc::new(Driver::new(Arc::clone(&stepper), waiting, &limits)),
            health,
            operators,
        };
        let identity = Arc::new(enclave.identity(Situation::SERVING));
        let certificate = https.as_ref().map(|https| Arc::clone(&https.certificate));
        let identity = PublicIdentity::new(identity, certificate, &limits);
        let acceptor = https.as_ref().map(|https| https.acceptor.clone());
        let time_check = time_check::watch(nsm.clone(), clock, counters, right);
        Ok(Self {
            holders,
            listener,
            server: Server::new(front, identity, limits, acceptor),
            stepper,
            writer: Task::spawn(writer.run()),
            opening: Task::spawn(open_keys(opened.sealed_keys, keys)),
            audit: Task::spawn(delivery.run()),
            successors,
            _time_check: Task::spawn(time_check),
            enclave,
            https,
        })
    }

    /// Serves until it is asked to end, or for a successor, and then until the requests in work are
    /// answered and the audit events are with the host.
    ///
    /// # Errors
    ///
    /// When somebody else wrote to the store, or a key can't be opened.
    pub(crate) async fn until(
        self,
        mut shutdown: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<Ended, EnclaveError> {
        let Self {
            enclave,
            https,
            holders,
            listener,
            server,
            stepper,
            mut writer,
            mut opening,
            mut audit,
            mut successors,
            _time_check,
        } = self;
        let shutdown_time = enclave.config.limits.shutdown_time();
        let (down, is_down) = watch::channel(false);
        let mut serving = Box::pin(server.run(listener, is_down));
        let mut successor = None;
        let mut is_whole = false;
        let result = loop {
            break tokio::select! {
                () = &mut shutdown => Ok(()),
                () = serving.as_mut() => Ok(()),
                // Should the successor not come, this one has to serve again, and all of it.
                Some(authorized) = successors.recv(), if is_whole => {
                    successor = Some(authorized);
                    Ok(())
                }
                opened = &mut opening.0, if !is_whole => match opened {
                    Ok(Ok(())) => {
                        is_whole = true;
                        continue;
                    }
                    Ok(Err(error)) => Err(error),
                    Err(_) => Err(EnclaveError::OpeningGone),
                },
                ended = &mut writer.0 => Err(match ended {
                    Ok(Err(error)) => error,
                    Ok(Ok(())) | Err(_) => EnclaveError::WriterGone,
                }),
            };
        };
        drop(opening);
        // After a clean shutdown the writer ends when the last request is answered. If the writer
        // ended first, nothing may be answered any more.
        if result.is_ok() {
            let notice = match successor {
                Some(_) => Notice::HandingOff,
                None => Notice::ShuttingDown,
            };
            notice.log();
            down.send_replace(true);
            serving.await;
            if successor.is_some() {
                // Whoever takes over has to find every change, however long the store takes.
                tokio::select! {
                    ended = &mut writer.0 => {
                        if !matches!(ended, Ok(Ok(()))) {
                            Notice::Fenced.log();
                            return Err(EnclaveError::Fenced);
                        }
                    }
                    () = &mut shutdown => successor = None,
                }
            } else {
                // Not even a store that does not answer can hold up the end.
                let _ = timeout(shutdown_time, &mut writer.0).await;
            }
        } else {
            drop(serving);
            if matches!(result, Err(EnclaveError::Fenced)) {
                Notice::Fenced.log();
            }
        }
        // Its queue has to be closed by now for the delivery to end.
        drop(writer);
        let state = State::clone(&stepper.current.state());
        let counters = Arc::clone(&stepper.counters);
        drop(stepper);
        deliver(&mut audit, &counters, shutdown_time).await;
        result?;
        let Some(successor) = successor else {
            return Ok(Ended::Stopped);
        };
        let opened = Opened {
            store: Store::new(enclave.config.host.clone()),
            state,
            sealed_keys: None,
            quorum: holders.map(|holders| holders.quorum()),
            clock: enclave.clock,
            random: enclave.random.clone(),
        };
        let provisioned = Provisioned {
            enclave,
            opened,
            https,
        };
        let handing_off = HandingOff::new(provisioned, successor);
        Ok(Ended::HandingOff(Box::new(handing_off)))
    }
}

/// What the engine is told.
fn engine_config(limits: &Limits, clock: Clock) -> EngineConfig {
    let mut config = EngineConfig::default();
    config.usage_tracked_since = clock.now();
    config.before_long_work = polling::leave_to_another_thread;
    config.aws_request_quotas = limits.request_quotas == RequestQuotas::Aws;
    config
}

/// Waits a while until the host has all audit events.
async fn deliver(audit: &mut Task<()>, counters: &Counters, time: Duration) {
    let _ = timeout(time, &mut audit.0).await;
    let events = counters.audit_waiting();
    if events > 0 {
        Notice::AuditLost { events }.log();
    }
}

#[cfg(test)]
mod tests {
    use tokio::runtime::Handle;

    use super::*;

    #[tokio::test]
    async fn the_engine_tells_before_it_computes_for_long() {
        let config = engine_config(&Limits::default(), Clock::default());
        let before = Handle::current().metrics().num_alive_tasks();
        (config.before_long_work)();
        let for_others = Handle::current().metrics().num_alive_tasks() - before;
        assert_eq!(for_others, 2);
    }
}
