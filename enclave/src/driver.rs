//! Drives the engine: decides where a call runs, and sees to it that each gets one answer and one
//! audit event.
//!
//! Most calls are answered at once, on the task that received them. Those that change something
//! go through the [writer](crate::writer), those that need an RSA key pair where none is
//! [ready](crate::key_pairs) to threads of their own; those that do both, first to the one and then
//! to the other. All of them run to their end even if the client is gone by then.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use arc_swap::Guard;
use http::HeaderMap;
use kms::engine::{Engine, Reply, Response, Step};
use kms::key_pair::PreparedKeyPair;
use kms::state::State;
use kms::{Call, KmsError};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::timeout;

use crate::audit::AuditQueue;
use crate::clock::Clock;
use crate::config::Limits;
use crate::counters::Counters;
use crate::http::WholeBody;
use crate::places::Places;
use crate::priority;
use crate::random::Random;
use crate::writer::{Current, Waiting};

/// A whole request, as it arrived.
pub(crate) struct Received {
    pub(crate) method: http::Method,
    pub(crate) uri: http::Uri,
    pub(crate) headers: HeaderMap,
    /// Whether it came over TLS.
    pub(crate) is_encrypted: bool,
    pub(crate) body: WholeBody,
    /// How long it waited for a thread after it had arrived.
    pub(crate) waited: Duration,
}

impl Received {
    /// The request as the engine takes it.
    fn call(&self) -> Call<'_> {
        // hyper puts HTTP/2's `:authority` into the URI. An absolute-form target of HTTP/1.1 has
        // one as well, but there the client signs its Host field.
        let host = self.headers.get(http::header::HOST);
        let authority = match host.and_then(|host| host.to_str().ok()) {
            Some(host) => host,
            None => self
                .uri
                .authority()
                .map_or("", |authority| authority.as_str()),
        };
        Call {
            method: &self.method,
            uri: &self.uri,
            headers: &self.headers,
            is_encrypted: self.is_encrypted,
            body: &self.body,
            authority,
        }
    }
}

/// What steps a call: the engine, and what it is given.
pub(crate) struct Stepper {
    pub(crate) engine: Engine,
    pub(crate) current: Current,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) audit: AuditQueue,
    pub(crate) counters: Arc<Counters>,
}

impl Stepper {
    /// Steps a call on a state. A panic in the engine, which would be a defect, becomes
    /// KMSInternalException and hurts nothing else: a step has no state of its own.
    pub(crate) fn step(&self, state: &State, call: &Received) -> Step {
        let now = self.clock.now();
        let mut random = self.random.for_call();
        self.caught(call, || {
            self.engine.step(state, &call.call(), now, &mut random)
        })
    }

    /// The same for a call that makes a key pair, on a thread where that holds up nobody.
    fn step_slowly(&self, state: &State, call: &Received) -> Step {
        let now = self.clock.now();
        let mut random = self.random.for_call();
        self.caught(call, || {
            self.engine
                .step_slowly(state, &call.call(), now, &mut random)
        })
    }

    /// The same after an earlier step of the call, with what that has prepared.
    pub(crate) fn resume(
        &self,
        state: &State,
        call: &Received,
        prepared: Option<PreparedKeyPair>,
    ) -> Step {
        let now = self.clock.now();
        let mut random = self.random.for_call();
        self.caught(call, || {
            let call = call.call();
            self.engine.resume(state, &call, prepared, now, &mut random)
        })
    }

    fn caught(&self, call: &Received, step: impl FnOnce() -> Step) -> Step {
        let step = AssertUnwindSafe(step);
        catch_unwind(step).unwrap_or_else(|_| Step::Reply(self.refuse(call, &defect())))
    }

    /// The refusal of a call that was not stepped.
    fn refuse(&self, call: &Received, error: &KmsError) -> Reply {
        self.engine.refuse(
            &call.call(),
            error,
            self.clock.now(),
            &mut self.random.for_call(),
        )
    }
}

/// Answers calls.
pub(crate) struct Driver {
    stepper: Arc<Stepper>,
    writer: mpsc::Sender<Waiting>,
    wait_time: Duration,
    commit_time: Duration,
    /// On the threads that make RSA key pairs.
    key_generation: Places,
}

impl Driver {
    pub(crate) fn new(
        stepper: Arc<Stepper>,
        writer: mpsc::Sender<Waiting>,
        limits: &Limits,
    ) -> Self {
        Self {
            stepper,
            writer,
            wait_time: limits.wait_time(),
            commit_time: limits.commit_time(),
            key_generation: Places::new(
                limits.key_generation_threads.max(1),
                limits.key_generation_queue,
                limits.key_generation_time(),
            ),
        }
    }

    /// The newest durable state.
    pub(crate) fn state(&self) -> Guard<Arc<State>> {
        self.stepper.current.state()
    }

    /// What is counted.
    pub(crate) fn counters(&self) -> &Counters {
        &self.stepper.counters
    }

    /// Answers a call. Most are answered before this returns, and then the headers are back in
    /// their place: the answer's can have their memory.
    pub(crate) fn answer(
        self: &Arc<Self>,
        received: Received,
        headers: &mut HeaderMap,
    ) -> impl Future<Output = Response> + use<> {
        let begun = self.begin(received, headers);
        async {
            match begun {
                Begun::Answered(response) => response,
                Begun::Detached(rest) => joined(rest.await),
            }
        }
    }

    fn begin(self: &Arc<Self>, received: Received, headers: &mut HeaderMap) -> Begun {
        let stepper = &self.stepper;
        if self.counters().clock_wrong.load(Ordering::Relaxed) {
            let error = "The enclave's clock disagrees with its security module's.";
            let error = KmsError::KmsInternal(error.into());
            return Begun::Answered(self.refuse(&received, &error));
        }
        // Before anything is verified, so that it costs little and those behind it get their turn.
        if received.waited > self.wait_time {
            return Begun::Answered(self.refuse(&received, &KmsError::Throttling));
        }
        let this = Arc::clone(self);
        Begun::Detached(match stepper.step(&self.state(), &received) {
            Step::Reply(reply) => {
                *headers = received.headers;
                return Begun::Answered(self.finish(reply));
            }
            Step::Commit(_, expected) => {
                tokio::spawn(this.answer_durably(received, None, expected))
            }
            Step::Slow(expected) => tokio::spawn(this.answer_slowly(received, expected)),
            Step::Prepared(prepared, expected) => {
                tokio::spawn(this.answer_durably(received, Some(prepared), expected))
            }
        })
    }

    /// Refuses a call of which not everything arrived.
    pub(crate) fn refuse(&self, received: &Received, error: &KmsError) -> Response {
        self.finish(self.stepper.refuse(received, error))
    }

    /// Has the writer answer a call. The reply that is expected stands in for errors on the way.
    async fn answer_durably(
        self: Arc<Self>,
        received: Received,
        prepared: Option<PreparedKeyPair>,
        expected: Reply,
    ) -> Response {
        let call = Arc::new(received);
        let (reply, replied) = oneshot::channel();
        let waiting = Waiting {
            call,
            prepared,
            reply,
        };
        if self.writer.try_send(waiting).is_err() {
            let away = self.counters().store_away.load(Ordering::Relaxed);
            let error = if away {
                store_away()
            } else {
                KmsError::Throttling
            };
            return self.finish(expected.fail(&error));
        }
        let reply = match timeout(self.commit_time, replied).await {
            Ok(Ok(reply)) => reply,
            // The writer ended: it is fenced, and the process is about to end.
            Ok(Err(_)) => expected.fail(&store_away()),
            Err(_) => expected.fail(&store_away()),
        };
        self.finish(reply)
    }

    /// Answers a call on a thread where it holds up nobody. The reply that is expected stands in for
    /// the error when there is no such thread.
    async fn answer_slowly(self: Arc<Self>, received: Received, expected: Reply) -> Response {
        let Some(place) = self.key_generation.take().await else {
            return self.finish(expected.fail(&KmsError::Throttling));
        };
        let this = Arc::clone(&self);
        let (made, stepped) = oneshot::channel();
        let step = move || {
            // It can't be raised again, so the thread ends with the call.
            priority::low();
            let step = this.stepper.step_slowly(&this.state(), &received);
            drop(place);
            // Nobody waits any more only when the process ends.
            let _ = made.send((step, received));
        };
        let thread = thread::Builder::new().name("key-pair".to_owned());
        if thread.spawn(step).is_err() {
            return self.finish(expected.fail(&KmsError::Throttling));
        }
        match stepped.await {
            Ok((Step::Reply(reply), _)) => self.finish(reply),
            Ok((Step::Commit(_, expected), received)) => {
                self.answer_durably(received, None, expected).await
            }
            Ok((Step::Prepared(prepared, expected), received)) => {
                self.answer_durably(received, Some(prepared), expected)
                    .await
            }
            Ok((Step::Slow(_), _)) | Err(_) => self.finish(expected.fail(&defect())),
        }
    }

    /// Counts and records a reply that is about to leave, and notes what it used.
    fn finish(&self, reply: Reply) -> Response {
        let Reply {
            response,
            event,
            usage,
            ..
        } = reply;
        if let Some(usage) = usage {
            usage.note(&event);
        }
        self.counters().answered(response.status, &event);
        self.stepper.audit.record(event);
        response
    }
}

/// The error of a call that this server failed.
pub(crate) fn defect() -> KmsError {
    KmsError::KmsInternal("The request failed because of a defect.".into())
}

/// The error of a change whose outcome is not known.
fn store_away() -> KmsError {
    KmsError::DependencyTimeout(
        "The record store did not answer in time. The change may or may not have taken effect."
            .into(),
    )
}

/// A call after its first step.
enum Begun {
    /// That was all of it, as it is with most.
    Answered(Response),
    /// It runs to the end by itself, whether or not somebody still waits for the answer.
    Detached(JoinHandle<Response>),
}

/// What a task returned; its panic, if it had one, goes on here. Nothing cancels such tasks.
fn joined<T>(result: Result<T, JoinError>) -> T {
    result.unwrap_or_else(|error| resume_unwind(error.into_panic()))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, Sender, channel};

    use http::StatusCode;
    use kms::key_pair::{AwsLcKeyPairs, KeyPair, KeyPairSource};
    use kms::protocol::spec::KeyPairSpec;
    use link::Address;
    use serde_json::{Value, json};
    use tokio::task::JoinSet;

    use super::*;
    use crate::counters::get;
    use crate::store::Store;
    use crate::testing::{KEY_ID, agreeing_host, call, stepper};
    use crate::writer::Writer;

    /// A source that panics.
    struct Defective;

    impl KeyPairSource for Defective {
        fn generate(&self, _: KeyPairSpec) -> Result<KeyPair, KmsError> {
            panic!("a defect")
        }
    }

    /// A source that says when it begins, and waits until it is told to go on.
    struct Slow {
        begun: Sender<()>,
        go_on: Mutex<Receiver<()>>,
    }

    impl KeyPairSource for Slow {
        fn generate(&self, _: KeyPairSpec) -> Result<KeyPair, KmsError> {
            self.begun.send(()).unwrap();
            self.go_on.lock().unwrap().recv().unwrap();
            AwsLcKeyPairs.generate(KeyPairSpec::EccNistP256)
        }
    }

    /// A source that notes the priority of the thread that asks.
    struct Noting(Mutex<Sender<i32>>);

    impl KeyPairSource for Noting {
        fn generate(&self, _: KeyPairSpec) -> Result<KeyPair, KmsError> {
            let priority = rustix::process::getpriority_process(None).unwrap();
            self.0.lock().unwrap().send(priority).unwrap();
            AwsLcKeyPairs.generate(KeyPairSpec::EccNistP256)
        }
    }

    /// A source that has one pair ready.
    struct OneReady(Mutex<Option<KeyPair>>);

    impl KeyPairSource for OneReady {
        fn generate(&self, _: KeyPairSpec) -> Result<KeyPair, KmsError> {
            panic!("nobody waits for it")
        }

        fn ready(&self, _: KeyPairSpec) -> Option<KeyPair> {
            self.0.lock().unwrap().take()
        }
    }

    fn driver(key_pairs: impl KeyPairSource + 'static, limits: &Limits) -> Arc<Driver> {
        let (stepper, _) = stepper(Arc::new(key_pairs), Clock::default());
        let (writer, _) = mpsc::channel(1);
        Arc::new(Driver::new(stepper, writer, limits))
    }

    fn rsa_key_pair() -> Received {
        let body = json!({ "KeyId": KEY_ID, "KeyPairSpec": "RSA_2048" });
        call("GenerateDataKeyPair", &body)
    }

    fn error(response: &Response) -> String {
        let body: Value = serde_json::from_slice(&response.body).unwrap();
        body["__type"].as_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn a_panic_is_an_internal_error_of_its_call_and_of_no_other() {
        let driver = driver(Defective, &Limits::default());
        let p256 = json!({ "KeyId": KEY_ID, "KeyPairSpec": "ECC_NIST_P256" });
        for received in [rsa_key_pair(), call("GenerateDataKeyPair", &p256)] {
            let response = driver.answer(received, &mut HeaderMap::new()).await;
            assert_eq!(response.status, StatusCode::INTERNAL_SERVER_ERROR);
            assert_eq!(error(&response), "KMSInternalException");
            let fine = driver
                .answer(call("ListKeys", &json!({})), &mut HeaderMap::new())
                .await;
            assert_eq!(fine.status, StatusCode::OK);
        }
        assert_eq!(get(&driver.counters().audit_events), 4);
        assert_eq!(get(&driver.counters().server_errors), 2);
    }

    #[tokio::test]
    async fn key_generation_holds_up_nobody_and_its_queue_is_bounded() {
        let (begun, has_begun) = channel();
        let (go_on, told) = channel();
        let slow = Slow {
            begun,
            go_on: Mutex::new(told),
        };
        let limits = Limits {
            key_generation_threads: 1,
            key_generation_queue: 2,
            ..Limits::default()
        };
        let driver = driver(slow, &limits);
        let first = tokio::spawn({
            let driver = Arc::clone(&driver);
            async move { driver.answer(rsa_key_pair(), &mut HeaderMap::new()).await }
        });
        while has_begun.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
        // One is at work; two may wait; of three more one is turned away at once.
        let mut others = JoinSet::new();
        for _ in 0..3 {
            let driver = Arc::clone(&driver);
            others.spawn(async move { driver.answer(rsa_key_pair(), &mut HeaderMap::new()).await });
        }
        let turned_away = others.join_next().await.unwrap().unwrap();
        assert_eq!(error(&turned_away), "ThrottlingException");
        let fine = driver
            .answer(call("ListKeys", &json!({})), &mut HeaderMap::new())
            .await;
        assert_eq!(fine.status, StatusCode::OK);

        for _ in 0..3 {
            go_on.send(()).unwrap();
        }
        assert_eq!(first.await.unwrap().status, StatusCode::OK);
        while let Some(other) = others.join_next().await {
            assert_eq!(other.unwrap().status, StatusCode::OK);
        }
        assert_eq!(get(&driver.counters().throttled), 1);
    }

    #[tokio::test]
    async fn an_rsa_key_is_generated_once_and_other_changes_do_not_wait_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let address = Address::Unix(folder.path().join("host.sock"));
        let host = agreeing_host(&address).await;
        let (begun, has_begun) = channel();
        let (go_on, told) = channel();
        let slow = Slow {
            begun,
            go_on: Mutex::new(told),
        };
        let (stepper, _delivery) = stepper(Arc::new(slow), Clock::default());
        let (calls, queue) = mpsc::channel(8);
        let writer = Writer {
            queue,
            root_keys: mpsc::channel(1).1,
            new_keys: mpsc::channel(1).1,
            right_time: mpsc::channel(1).1,
            stepper: Arc::clone(&stepper),
            store: Store::new(address),
        };
        let writing = tokio::spawn(writer.run());
        let driver = Arc::new(Driver::new(stepper, calls, &Limits::default()));
        let create_rsa_key = tokio::spawn({
            let driver = Arc::clone(&driver);
            let body = json!({ "KeySpec": "RSA_4096", "KeyUsage": "SIGN_VERIFY" });
            async move {
                driver
                    .answer(call("CreateKey", &body), &mut HeaderMap::new())
                    .await
            }
        });
        while has_begun.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
        let other = driver
            .answer(call("CreateKey", &json!({})), &mut HeaderMap::new())
            .await;
        assert_eq!(other.status, StatusCode::OK);

        go_on.send(()).unwrap();
        let made = create_rsa_key.await.unwrap();
        assert_eq!(made.status, StatusCode::OK);
        assert!(has_begun.try_recv().is_err(), "generated twice");
        let made: Value = serde_json::from_slice(&made.body).unwrap();
        let request = json!({ "KeyId": made["KeyMetadata"]["KeyId"] });
        let found = driver
            .answer(call("DescribeKey", &request), &mut HeaderMap::new())
            .await;
        assert_eq!(found.status, StatusCode::OK);
        writing.abort();
        host.abort();
    }

    #[tokio::test]
    async fn a_call_that_waits_too_long_for_a_thread_is_turned_away() {
        let (begun, has_begun) = channel();
        let (go_on, told) = channel();
        let slow = Slow {
            begun,
            go_on: Mutex::new(told),
        };
        let limits = Limits {
            key_generation_threads: 1,
            key_generation_milliseconds: 50,
            ..Limits::default()
        };
        let driver = driver(slow, &limits);
        let busy = tokio::spawn({
            let driver = Arc::clone(&driver);
            async move { driver.answer(rsa_key_pair(), &mut HeaderMap::new()).await }
        });
        while has_begun.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
        let response = driver.answer(rsa_key_pair(), &mut HeaderMap::new()).await;
        assert_eq!(error(&response), "ThrottlingException");
        go_on.send(()).unwrap();
        assert_eq!(busy.await.unwrap().status, StatusCode::OK);
    }

    #[tokio::test]
    async fn who_waits_for_a_key_pair_leaves_the_processors_to_others() {
        let (made, priorities) = channel();
        let driver = driver(Noting(Mutex::new(made)), &Limits::default());
        let own = rustix::process::getpriority_process(None).unwrap();
        for _ in 0..2 {
            let response = driver.answer(rsa_key_pair(), &mut HeaderMap::new()).await;
            assert_eq!(response.status, StatusCode::OK);
            // 19 is the last.
            let low = (own + priority::LOW).min(19);
            assert_eq!(priorities.recv().unwrap(), low);
        }
        assert_eq!(rustix::process::getpriority_process(None).unwrap(), own);
    }

    #[tokio::test]
    async fn a_key_pair_that_is_ready_needs_no_thread() {
        let pair = AwsLcKeyPairs.generate(KeyPairSpec::EccNistP256).unwrap();
        let driver = driver(OneReady(Mutex::new(Some(pair))), &Limits::default());
        let first = driver.answer(rsa_key_pair(), &mut HeaderMap::new()).await;
        assert_eq!(first.status, StatusCode::OK);
        let second = driver.answer(rsa_key_pair(), &mut HeaderMap::new()).await;
        assert_eq!(error(&second), "KMSInternalException");
    }

    #[tokio::test]
    async fn a_call_that_has_waited_too_long_is_refused_and_recorded() {
        let limits = Limits::default();
        let driver = driver(AwsLcKeyPairs, &limits);
        let late = limits.wait_time() + Duration::from_millis(1);
        for (waited, status) in [
            (late, StatusCode::BAD_REQUEST),
            (limits.wait_time(), StatusCode::OK),
        ] {
            let received = Received {
                waited,
                ..call("ListKeys", &json!({}))
            };
            let answer = driver.answer(received, &mut HeaderMap::new()).await;
            assert_eq!(answer.status, status);
            if waited == late {
                assert_eq!(error(&answer), "ThrottlingException");
            }
            assert_eq!(get(&driver.counters().throttled), 1);
        }
        assert_eq!(get(&driver.counters().audit_events), 2);
    }
}
