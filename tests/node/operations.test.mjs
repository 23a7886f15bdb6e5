// Every operation that @aws-sdk/client-kms has, through it: none is left out, and all answers parse.
import assert from "node:assert/strict";
import { constants, createHmac, createPublicKey, publicEncrypt, randomBytes, verify } from "node:crypto";
import { after, test } from "node:test";
import * as sdk from "@aws-sdk/client-kms";

const client = (region) => new sdk.KMSClient({ endpoint: process.env.CLAVIGER_URL, maxAttempts: 1, region });
const kms = client(process.env.AWS_REGION);
const elsewhere = client("eu-west-1");
const sent = new Set();
const call = async (operation, input = {}, through = kms) => {
  sent.add(operation);
  return through.send(new sdk[`${operation}Command`](input));
};
const create = async (input = {}) => (await call("CreateKey", input)).KeyMetadata;
const bytes = (text) => Buffer.from(text);
const refused = (promise, name) => assert.rejects(promise, (error) => {
  assert.equal(error.name, name, error.message);
  assert.ok(error instanceof sdk[name]);
  return true;
});

after(() => {
  const all = Object.keys(sdk).filter((name) => /^[A-Z]\w+Command$/.test(name)).map((name) => name.slice(0, -7));
  assert.ok(all.length >= 50, `${all.length} operations`);
  assert.deepEqual(all.filter((operation) => !sent.has(operation)), []);
});

test("keys and their names", async () => {
  const { KeyId, Arn } = await create({ Description: "first", Tags: [{ TagKey: "a", TagValue: "1" }] });
  await call("UpdateKeyDescription", { KeyId, Description: "second" });
  assert.equal((await call("DescribeKey", { KeyId })).KeyMetadata.Description, "second");
  assert.ok((await call("ListKeys", { Limit: 1000 })).Keys.some((key) => key.KeyArn === Arn));
  await call("TagResource", { KeyId, Tags: [{ TagKey: "b", TagValue: "2" }] });
  await call("UntagResource", { KeyId, TagKeys: ["a"] });
  assert.deepEqual((await call("ListResourceTags", { KeyId })).Tags, [{ TagKey: "b", TagValue: "2" }]);

  const AliasName = `alias/node-${KeyId}`;
  await call("CreateAlias", { AliasName, TargetKeyId: KeyId });
  const [alias] = (await call("ListAliases", { KeyId })).Aliases;
  assert.equal(alias.AliasName, AliasName);
  assert.ok(alias.CreationDate instanceof Date);
  const other = await create();
  await call("UpdateAlias", { AliasName, TargetKeyId: other.KeyId });
  assert.equal((await call("DescribeKey", { KeyId: AliasName })).KeyMetadata.Arn, other.Arn);
  await call("DeleteAlias", { AliasName });
  await refused(call("DescribeKey", { KeyId: AliasName }), "NotFoundException");

  await call("DisableKey", { KeyId });
  await refused(call("Encrypt", { KeyId, Plaintext: bytes("x") }), "DisabledException");
  await call("EnableKey", { KeyId });
  const scheduled = await call("ScheduleKeyDeletion", { KeyId, PendingWindowInDays: 7 });
  assert.equal(scheduled.KeyState, "PendingDeletion");
  await refused(call("EnableKey", { KeyId }), "KMSInvalidStateException");
  assert.equal((await call("CancelKeyDeletion", { KeyId })).KeyId, Arn);
});

test("symmetric encryption and data keys", async () => {
  const [{ KeyId, Arn }, other] = [await create(), await create()];
  const EncryptionContext = { tenant: "a" };
  const { CiphertextBlob } = await call("Encrypt", { KeyId, Plaintext: bytes("secret"), EncryptionContext });
  const opened = await call("Decrypt", { CiphertextBlob, EncryptionContext });
  assert.equal(Buffer.from(opened.Plaintext).toString(), "secret");
  assert.match(opened.KeyMaterialId, /^[0-9a-f]{64}$/);
  const moved = await call("ReEncrypt", {
    CiphertextBlob, SourceEncryptionContext: EncryptionContext, DestinationKeyId: other.KeyId,
  });
  assert.equal(moved.SourceKeyId, Arn);
  const dataKey = await call("GenerateDataKey", { KeyId, NumberOfBytes: 33 });
  assert.equal(dataKey.Plaintext.length, 33);
  const without = await call("GenerateDataKeyWithoutPlaintext", { KeyId, KeySpec: "AES_128" });
  assert.equal((await call("Decrypt", { CiphertextBlob: without.CiphertextBlob })).Plaintext.length, 16);
  for (const KeyPairSpec of ["ECC_NIST_P256", "ML_KEM_768"]) {
    const pair = await call("GenerateDataKeyPair", { KeyId, KeyPairSpec });
    assert.ok(pair.PrivateKeyPlaintext.length && pair.PublicKey.length);
  }
  const pair = await call("GenerateDataKeyPairWithoutPlaintext", { KeyId, KeyPairSpec: "ECC_NIST_EDWARDS25519" });
  assert.equal(pair.PrivateKeyPlaintext, undefined);
  assert.equal((await call("GenerateRandom", { NumberOfBytes: 5 })).Plaintext.length, 5);
  const used = (await call("GetKeyLastUsage", { KeyId })).KeyLastUsage;
  assert.equal(used.Operation, "GenerateDataKeyPairWithoutPlaintext");
});

test("asymmetric keys and MACs", async () => {
  const publicKey = async (KeyId) => {
    const { PublicKey } = await call("GetPublicKey", { KeyId });
    return createPublicKey({ key: Buffer.from(PublicKey), format: "der", type: "spki" });
  };
  const signing = await create({ KeySpec: "ECC_NIST_P384", KeyUsage: "SIGN_VERIFY" });
  const signed = { KeyId: signing.KeyId, Message: bytes("m"), SigningAlgorithm: "ECDSA_SHA_384" };
  const { Signature } = await call("Sign", signed);
  assert.ok(verify("sha384", bytes("m"), await publicKey(signing.KeyId), Signature));
  assert.equal((await call("Verify", { ...signed, Signature })).SignatureValid, true);
  await refused(call("Verify", { ...signed, Message: bytes("n"), Signature }), "KMSInvalidSignatureException");

  const encrypting = await create({ KeySpec: "RSA_2048", KeyUsage: "ENCRYPT_DECRYPT" });
  const CiphertextBlob = publicEncrypt(
    { key: await publicKey(encrypting.KeyId), padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha256" },
    bytes("from outside"),
  );
  const { Plaintext } = await call("Decrypt", {
    KeyId: encrypting.KeyId, CiphertextBlob, EncryptionAlgorithm: "RSAES_OAEP_SHA_256",
  });
  assert.equal(Buffer.from(Plaintext).toString(), "from outside");

  const mac = await create({ KeySpec: "HMAC_512", KeyUsage: "GENERATE_VERIFY_MAC" });
  const macd = { KeyId: mac.KeyId, Message: bytes("m"), MacAlgorithm: "HMAC_SHA_512" };
  const { Mac } = await call("GenerateMac", macd);
  assert.equal((await call("VerifyMac", { ...macd, Mac })).MacValid, true);
  await refused(call("VerifyMac", { ...macd, Message: bytes("n"), Mac }), "KMSInvalidMacException");

  const [one, two] = await Promise.all(
    [0, 1].map(() => create({ KeySpec: "ECC_NIST_P256", KeyUsage: "KEY_AGREEMENT" })),
  );
  const shared = async (mine, theirs) => {
    const { PublicKey } = await call("GetPublicKey", { KeyId: theirs.KeyId });
    const { SharedSecret } = await call("DeriveSharedSecret", {
      KeyId: mine.KeyId, KeyAgreementAlgorithm: "ECDH", PublicKey,
    });
    return SharedSecret;
  };
  assert.deepEqual(await shared(one, two), await shared(two, one));

  const { KeyId } = await create({ KeySpec: "ML_KEM_768", KeyUsage: "ENCAPSULATE_DECAPSULATE" });
  const made = await call("Encapsulate", { KeyId, EncapsulationAlgorithm: "ML_KEM" });
  const opened = await call("Decapsulate", {
    KeyId, EncapsulationAlgorithm: "ML_KEM", SharedSecretCiphertextBlob: made.SharedSecretCiphertextBlob,
  });
  assert.equal(made.SharedSecret.length, 32);
  assert.deepEqual(opened.SharedSecret, made.SharedSecret);
});

test("policies and grants", async () => {
  const { KeyId, Arn, AWSAccountId } = await create();
  const root = `arn:aws:iam::${AWSAccountId}:root`;
  const { Policy } = await call("GetKeyPolicy", { KeyId });
  assert.equal(JSON.parse(Policy).Statement[0].Principal.AWS, root);
  await call("PutKeyPolicy", { KeyId, Policy });
  assert.deepEqual((await call("ListKeyPolicies", { KeyId })).PolicyNames, ["default"]);
  await refused(call("PutKeyPolicy", { KeyId, Policy: "{}" }), "MalformedPolicyDocumentException");

  const grant = { KeyId, GranteePrincipal: root, RetiringPrincipal: root, Operations: ["Decrypt"] };
  const { GrantId, GrantToken } = await call("CreateGrant", grant);
  const [listed] = (await call("ListGrants", { KeyId })).Grants;
  assert.equal(listed.GrantId, GrantId);
  assert.ok(listed.CreationDate instanceof Date);
  const retirable = (await call("ListRetirableGrants", { RetiringPrincipal: root })).Grants;
  assert.ok(retirable.some((grant) => grant.GrantId === GrantId && grant.KeyId === Arn));
  await call("RetireGrant", { GrantToken });
  const second = await call("CreateGrant", grant);
  await call("RevokeGrant", { KeyId, GrantId: second.GrantId });
  assert.deepEqual((await call("ListGrants", { KeyId })).Grants, []);
});

test("rotation and replicas", async () => {
  const { KeyId } = await create();
  await call("EnableKeyRotation", { KeyId, RotationPeriodInDays: 90 });
  const status = await call("GetKeyRotationStatus", { KeyId });
  assert.equal(status.KeyRotationEnabled, true);
  assert.ok(status.NextRotationDate instanceof Date);
  await call("DisableKeyRotation", { KeyId });
  await call("RotateKeyOnDemand", { KeyId });
  const [rotation] = (await call("ListKeyRotations", { KeyId })).Rotations;
  assert.equal(rotation.RotationType, "ON_DEMAND");

  const primary = await create({ MultiRegion: true });
  const { ReplicaKeyMetadata } = await call("ReplicateKey", { KeyId: primary.KeyId, ReplicaRegion: "eu-west-1" });
  assert.equal(ReplicaKeyMetadata.KeyId, primary.KeyId);
  const { CiphertextBlob } = await call("Encrypt", { KeyId: primary.KeyId, Plaintext: bytes("x") });
  assert.equal((await call("Decrypt", { CiphertextBlob }, elsewhere)).KeyId, ReplicaKeyMetadata.Arn);
  await call("UpdatePrimaryRegion", { KeyId: primary.KeyId, PrimaryRegion: "eu-west-1" });
  const { KeyMetadata } = await call("DescribeKey", { KeyId: primary.KeyId });
  assert.equal(KeyMetadata.MultiRegionConfiguration.PrimaryKey.Region, "eu-west-1");
});

test("imported material", async () => {
  const { KeyId, Arn } = await create({ Origin: "EXTERNAL", KeySpec: "HMAC_256", KeyUsage: "GENERATE_VERIFY_MAC" });
  const material = randomBytes(48);
  const { ImportToken, PublicKey, ParametersValidTo } = await call("GetParametersForImport", {
    KeyId, WrappingAlgorithm: "RSAES_OAEP_SHA_256", WrappingKeySpec: "RSA_3072",
  });
  assert.ok(ParametersValidTo > new Date());
  const key = createPublicKey({ key: Buffer.from(PublicKey), format: "der", type: "spki" });
  const padding = { key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha256" };
  await call("ImportKeyMaterial", {
    KeyId, ImportToken, EncryptedKeyMaterial: publicEncrypt(padding, material),
    ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE",
  });
  const { Mac } = await call("GenerateMac", { KeyId, Message: bytes("m"), MacAlgorithm: "HMAC_SHA_256" });
  assert.deepEqual(Buffer.from(Mac), createHmac("sha256", material).update("m").digest());
  assert.equal((await call("DeleteImportedKeyMaterial", { KeyId })).KeyId, Arn);
});

test("custom key stores", async () => {
  const CustomKeyStoreId = "cks-1234567890abcdef0";
  assert.deepEqual((await call("DescribeCustomKeyStores")).CustomKeyStores, []);
  for (const operation of ["ConnectCustomKeyStore", "DisconnectCustomKeyStore", "DeleteCustomKeyStore", "UpdateCustomKeyStore"]) {
    await refused(call(operation, { CustomKeyStoreId }), "CustomKeyStoreNotFoundException");
  }
  const store = {
    CustomKeyStoreName: "store", CloudHsmClusterId: "cluster-2a23b4cdefg", KeyStorePassword: "password1",
    TrustAnchorCertificate: "-----BEGIN CERTIFICATE-----",
  };
  await refused(call("CreateCustomKeyStore", store), "CloudHsmClusterNotFoundException");
});
