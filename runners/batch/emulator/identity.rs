//! Who asks: the one operation of STS that clients of Batch need, as a query with an answer in XML.

use crate::answer::{Answer, Refusal};
use crate::loopback::message::Head;

/// The name of the operation, as it is counted.
pub(crate) const NAME: &str = "sts:GetCallerIdentity";

/// Whether a request is a query and not JSON.
pub(crate) fn is_query(head: &Head) -> bool {
    let kind = head.header("content-type").unwrap_or("");
    // Some clients call every body so: the path tells, too.
    head.request() == ("POST", "/") && kind.starts_with("application/x-www-form-urlencoded")
}

/// The identity, for a query that asks for it.
pub(crate) fn answer(body: &[u8]) -> Answer<String> {
    let body = String::from_utf8_lossy(body);
    if !body.split('&').any(|part| part == "Action=GetCallerIdentity") {
        let message = "of STS this emulator knows GetCallerIdentity alone";
        return Err(Refusal::new(400, "InvalidAction", message));
    }
    Ok("<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
        <GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/emulated</Arn>\
        <UserId>AIDAEMULATED</UserId><Account>123456789012</Account></GetCallerIdentityResult>\
        <ResponseMetadata><RequestId>emulated</RequestId></ResponseMetadata>\
        </GetCallerIdentityResponse>"
        .to_owned())
}

/// A refusal, as STS tells it.
pub(crate) fn refused(refusal: &Refusal) -> String {
    let Refusal { kind, message, .. } = refusal;
    // STS calls it otherwise than Batch does.
    let kind = if *kind == "ExpiredTokenException" { "ExpiredToken" } else { kind };
    format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender\
         </Type><Code>{kind}</Code><Message>{message}</Message></Error></ErrorResponse>"
    )
}
