//! Calls of IAM and STS: forms in, XML out.

use kms::name::AccountId;
use kms::principal::Principal;

use crate::server::{ACCOUNT, Answer, Client, START, Server, posted, sign_for};

/// The version of the API of IAM, and that of STS.
pub(crate) const IAM: &str = "2010-05-08";
pub(crate) const STS: &str = "2011-06-15";

/// The media type of a form.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";

impl Server {
    /// A call of `alice` to IAM.
    pub(crate) fn iam(&mut self, action: &str, parameters: &[(&str, &str)]) -> Answer {
        self.iam_as(&Client::of("alice"), action, parameters)
    }

    /// A call of another client to IAM, which has but one region.
    pub(crate) fn iam_as(
        &mut self,
        client: &Client,
        action: &str,
        parameters: &[(&str, &str)],
    ) -> Answer {
        let client = client.in_region("us-east-1");
        self.query("iam", IAM, &client, action, parameters)
    }

    /// A call of a client to STS.
    pub(crate) fn sts_as(
        &mut self,
        client: &Client,
        action: &str,
        parameters: &[(&str, &str)],
    ) -> Answer {
        self.query("sts", STS, client, action, parameters)
    }

    /// A call of the Query protocol.
    pub(crate) fn query(
        &mut self,
        service: &str,
        version: &str,
        client: &Client,
        action: &str,
        parameters: &[(&str, &str)],
    ) -> Answer {
        let request = posted(FORM, form(version, action, parameters).as_bytes());
        let request = sign_for(service, client, request, self.now);
        self.send(&request)
    }

    /// Adds the root user of an account.
    pub(crate) fn add_root(&mut self, account: &str) -> Client {
        let account: AccountId = account.parse().unwrap();
        let client = Client::of("root");
        self.add_principal(Principal::root(account, START), &client);
        client
    }

    /// Makes a user with an access key, by calls.
    pub(crate) fn create_user(&mut self, name: &str) -> Client {
        self.iam("CreateUser", &[("UserName", name)]).result();
        let key = self.iam("CreateAccessKey", &[("UserName", name)]).result();
        Client {
            access_key_id: text(&key, "AccessKeyId"),
            secret: text(&key, "SecretAccessKey"),
            ..Client::of(name)
        }
    }

    /// Makes a role that this trust policy lets be assumed; its ARN.
    pub(crate) fn create_role(&mut self, name: &str, trust: &str) -> String {
        let parameters = [("RoleName", name), ("AssumeRolePolicyDocument", trust)];
        let answer = self.iam("CreateRole", &parameters).result();
        let arn = text(&answer, "Arn");
        assert_eq!(arn, format!("arn:aws:iam::{ACCOUNT}:role/{name}"));
        arn
    }

    /// Assumes a role; the client that calls as the session.
    pub(crate) fn assume(&mut self, client: &Client, arn: &str, more: &[(&str, &str)]) -> Client {
        let parameters = [&[("RoleArn", arn), ("RoleSessionName", "s1")], more].concat();
        let answer = self.sts_as(client, "AssumeRole", &parameters).result();
        Client {
            access_key_id: text(&answer, "AccessKeyId"),
            secret: text(&answer, "SecretAccessKey"),
            token: Some(text(&answer, "SessionToken")),
            ..client.clone()
        }
    }
}

impl Answer {
    /// The XML of an answer that must be a success.
    #[track_caller]
    pub(crate) fn result(&self) -> String {
        let body = String::from_utf8(self.body.clone()).unwrap();
        assert_eq!(self.status, 200, "{body}");
        assert_eq!(self.event.get("errorCode"), None);
        assert_eq!(text(&body, "RequestId"), self.request_id);
        body
    }

    /// Checks that the answer is this error of the Query protocol.
    #[track_caller]
    pub(crate) fn expect_refusal(&self, status: u16, code: &str, message: &str) {
        let body = String::from_utf8(self.body.clone()).unwrap();
        let told = (self.status, text(&body, "Code"), text(&body, "Message"));
        assert_eq!(told, (status, code.to_owned(), message.to_owned()));
        assert_eq!(text(&body, "Type"), "Sender");
        assert_eq!(text(&body, "RequestId"), self.request_id);
        assert!(
            self.event["errorCode"].as_str().unwrap().starts_with(code)
                || code == "ValidationError"
        );
        assert_eq!(self.event["errorMessage"], message);
        assert_eq!(self.event["responseElements"], serde_json::Value::Null);
    }
}

/// A form as the body of a call.
pub(crate) fn form(version: &str, action: &str, parameters: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .append_pair("Action", action)
        .append_pair("Version", version)
        .extend_pairs(parameters)
        .finish()
}

/// The texts of all elements of this name, in order.
pub(crate) fn texts(xml: &str, name: &str) -> Vec<String> {
    let (start, end) = (format!("<{name}>"), format!("</{name}>"));
    let texts = xml.split(&start).skip(1);
    let texts = texts.map(|rest| rest.split(&end).next().unwrap());
    let unescaped = |text: &str| {
        text.replace("&quot;", "\"")
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&")
    };
    texts.map(unescaped).collect()
}

/// The text of the one element of this name.
#[track_caller]
pub(crate) fn text(xml: &str, name: &str) -> String {
    let [text] = texts(xml, name).try_into().expect(name);
    text
}
