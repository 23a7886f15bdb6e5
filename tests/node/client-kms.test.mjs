// The main flows through @aws-sdk/client-kms: typed answers, typed errors.
import assert from "node:assert/strict";
import { createHash, createDecipheriv, constants, generateKeyPairSync, privateDecrypt } from "node:crypto";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import * as sdk from "@aws-sdk/client-kms";

// CLAVIGER_URL, CLAVIGER_BIN, CLAVIGER_DATA and the usual AWS variables come from the test that starts this.
const kms = new sdk.KMSClient({ endpoint: process.env.CLAVIGER_URL, maxAttempts: 1 });
const send = (Command, input = {}) => kms.send(new Command(input));
const newKey = async () => (await send(sdk.CreateKeyCommand)).KeyMetadata;

const refusal = (kind, message) => (error) => {
  if (typeof kind === "string") assert.equal(error.name, kind);
  else assert.ok(error instanceof kind, `${error.name}: ${error.message}`);
  assert.equal(error.$metadata.httpStatusCode, 400);
  assert.equal(error.$metadata.attempts, 1);
  assert.ok(error.$metadata.requestId);
  if (message !== undefined) assert.equal(error.message, message);
  return true;
};

test("a data key and back", async () => {
  const { Arn } = await newKey();
  const context = { Department: "HR", "ключ": "значение" };
  const made = await send(sdk.GenerateDataKeyCommand, { KeyId: Arn, KeySpec: "AES_256", EncryptionContext: context });
  assert.equal(made.Plaintext.length, 32);
  assert.equal(made.KeyId, Arn);
  const opened = await send(sdk.DecryptCommand, { CiphertextBlob: made.CiphertextBlob, EncryptionContext: context });
  assert.deepEqual(opened.Plaintext, made.Plaintext);
  await assert.rejects(
    send(sdk.DecryptCommand, { CiphertextBlob: made.CiphertextBlob }),
    refusal(sdk.InvalidCiphertextException),
  );
});

test("encrypt, re-encrypt, decrypt", async () => {
  const [from, to] = [await newKey(), await newKey()];
  const sealed = await send(sdk.EncryptCommand, { KeyId: from.KeyId, Plaintext: Buffer.from("moved") });
  const moved = await send(sdk.ReEncryptCommand, { CiphertextBlob: sealed.CiphertextBlob, DestinationKeyId: to.KeyId });
  assert.equal(moved.SourceKeyId, from.Arn);
  assert.equal(moved.KeyId, to.Arn);
  const opened = await send(sdk.DecryptCommand, { CiphertextBlob: moved.CiphertextBlob, KeyId: to.KeyId });
  assert.equal(Buffer.from(opened.Plaintext).toString(), "moved");
  await assert.rejects(
    send(sdk.DecryptCommand, { CiphertextBlob: moved.CiphertextBlob, KeyId: from.KeyId }),
    refusal(sdk.IncorrectKeyException),
  );
});

test("dates are dates", async () => {
  const { KeyId, CreationDate } = await newKey();
  assert.ok(Math.abs(Date.now() - CreationDate) < 10_000);
  const scheduled = await send(sdk.ScheduleKeyDeletionCommand, { KeyId, PendingWindowInDays: 7 });
  assert.ok(Math.abs(scheduled.DeletionDate - Date.now() - 7 * 86_400_000) < 60_000);
  await send(sdk.CancelKeyDeletionCommand, { KeyId });
});

test("typed errors", async () => {
  const { KeyId, Arn } = await newKey();
  await assert.rejects(
    send(sdk.DescribeKeyCommand, { KeyId: "nothing" }),
    refusal(sdk.NotFoundException, "Invalid keyId 'nothing'"),
  );
  await send(sdk.DisableKeyCommand, { KeyId });
  await assert.rejects(
    send(sdk.EncryptCommand, { KeyId, Plaintext: Buffer.from("x") }),
    refusal(sdk.DisabledException, `${Arn} is disabled.`),
  );
  await send(sdk.EnableKeyCommand, { KeyId });
  await assert.rejects(
    send(sdk.GenerateDataKeyCommand, { KeyId, KeySpec: "AES_256", DryRun: true }),
    refusal(sdk.DryRunOperationException, "The request would have succeeded, but the DryRun option is set."),
  );
  await send(sdk.ScheduleKeyDeletionCommand, { KeyId });
  await assert.rejects(
    send(sdk.EnableKeyCommand, { KeyId }),
    refusal(sdk.KMSInvalidStateException, `${Arn} is pending deletion.`),
  );
  await assert.rejects(send(sdk.GenerateRandomCommand, { NumberOfBytes: 2000 }), refusal("ValidationException"));
});

test("aliases and pages", async () => {
  const { KeyId } = await newKey();
  for (let n = 0; n < 5; n++) await send(sdk.CreateAliasCommand, { AliasName: `alias/node/${n}`, TargetKeyId: KeyId });
  await assert.rejects(
    send(sdk.CreateAliasCommand, { AliasName: "alias/node/0", TargetKeyId: KeyId }),
    refusal(sdk.AlreadyExistsException),
  );
  const listed = [];
  for await (const page of sdk.paginateListAliases({ client: kms, pageSize: 2 }, { KeyId })) {
    listed.push(...page.Aliases.map((alias) => alias.AliasName));
  }
  assert.deepEqual(listed.sort(), [0, 1, 2, 3, 4].map((n) => `alias/node/${n}`));
  const keys = [];
  for await (const page of sdk.paginateListKeys({ client: kms, pageSize: 3 }, {})) keys.push(...page.Keys);
  assert.ok(keys.some((key) => key.KeyId === KeyId));
  assert.equal((await send(sdk.DeleteAliasCommand, { AliasName: "alias/node/0" })).$metadata.httpStatusCode, 200);
});

test("a key pair", async () => {
  const { KeyId } = await newKey();
  const pair = await send(sdk.GenerateDataKeyPairCommand, { KeyId, KeyPairSpec: "ECC_NIST_EDWARDS25519" });
  assert.ok(pair.PrivateKeyPlaintext.length && pair.PublicKey.length);
  const opened = await send(sdk.DecryptCommand, { CiphertextBlob: pair.PrivateKeyCiphertextBlob });
  assert.deepEqual(opened.Plaintext, pair.PrivateKeyPlaintext);
});

test("a data key for an enclave", async () => {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const spki = publicKey.export({ type: "spki", format: "der" });
  const document = attest(spki);
  const { KeyId } = await newKey();
  const Recipient = { AttestationDocument: document, KeyEncryptionAlgorithm: "RSAES_OAEP_SHA_256" };
  const made = await send(sdk.GenerateDataKeyCommand, { KeyId, KeySpec: "AES_256", Recipient });
  assert.equal(made.Plaintext, undefined);
  const dataKey = openEnvelope(Buffer.from(made.CiphertextForRecipient), spki, privateKey);
  const opened = await send(sdk.DecryptCommand, { CiphertextBlob: made.CiphertextBlob });
  assert.deepEqual(Buffer.from(opened.Plaintext), dataKey);

  const tampered = Buffer.from(document);
  tampered[tampered.length - 1] ^= 1;
  await assert.rejects(
    send(sdk.GenerateDataKeyCommand, { KeyId, KeySpec: "AES_256", Recipient: { ...Recipient, AttestationDocument: tampered } }),
    refusal("ValidationException"),
  );
});

test("a clock that is wrong corrects itself", async () => {
  const late = new sdk.KMSClient({ endpoint: process.env.CLAVIGER_URL, maxAttempts: 3, systemClockOffset: -3_600_000 });
  const answer = await late.send(new sdk.GenerateRandomCommand({ NumberOfBytes: 8 }));
  assert.equal(answer.Plaintext.length, 8);
});

// A document under the server's own simulated root, through `claviger attest new`.
function attest(spki) {
  const folder = mkdtempSync(join(tmpdir(), "claviger-node-"));
  writeFileSync(join(folder, "key"), spki);
  const output = join(folder, "document");
  const ca = join(process.env.CLAVIGER_DATA, "nsm-ca.pem");
  execFileSync(process.env.CLAVIGER_BIN, ["attest", "new", "--ca", ca, "--public-key", join(folder, "key"), "--out", output]);
  return readFileSync(output);
}

// KMS's envelope for RSA-2048 and a short secret has its parts at fixed places.
function openEnvelope(envelope, spki, privateKey) {
  assert.deepEqual(envelope.subarray(33, 65), createHash("sha256").update(spki).digest());
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  const contentKey = privateDecrypt({ key: privateKey, padding, oaepHash: "sha256" }, envelope.subarray(131, 387));
  const iv = envelope.subarray(415, 431);
  const length = envelope[434];
  const decipher = createDecipheriv("aes-256-cbc", contentKey, iv);
  return Buffer.concat([decipher.update(envelope.subarray(435, 435 + length)), decipher.final()]);
}
