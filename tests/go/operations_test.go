// Every operation that the AWS SDK for Go knows, through it: none is left out, and all answers parse.
package operations

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
)

const otherRegion = "eu-west-1"

var (
	ctx       = context.Background()
	client    *kms.Client
	elsewhere *kms.Client
	called    = map[string]bool{}
)

func TestMain(m *testing.M) {
	// Credentials and region are the SDK's to find: they are in its usual variables.
	found, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		panic(err)
	}
	client = kms.NewFromConfig(found, configure)
	elsewhere = kms.NewFromConfig(found, configure, func(o *kms.Options) { o.Region = otherRegion })

	code := m.Run()
	known := operations()
	if len(known) < 50 {
		fmt.Println("only", len(known), "operations")
		code = 1
	}
	if never := neverCalled(known); len(never) > 0 {
		fmt.Println("never called:", strings.Join(never, ", "))
		code = 1
	}
	fmt.Printf("%d operations of aws-sdk-go-v2 %s\n", len(known), aws.SDKVersion)
	os.Exit(code)
}

func configure(options *kms.Options) {
	options.EndpointResolver = kms.EndpointResolverFromURL(os.Getenv("CLAVIGER_URL"))
	options.Retryer = aws.NopRetryer{}
	options.APIOptions = append(options.APIOptions, recordCalls)
}

// recordCalls notes the name of each operation that is about to be sent.
func recordCalls(stack *middleware.Stack) error {
	record := func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (
		middleware.FinalizeOutput, middleware.Metadata, error,
	) {
		called[awsmiddleware.GetOperationName(ctx)] = true
		return next.HandleFinalize(ctx, in)
	}
	return stack.Finalize.Add(middleware.FinalizeMiddlewareFunc("RecordCalls", record), middleware.After)
}

// operations are the client's methods: each takes a context, an input and functional options.
func operations() []string {
	var names []string
	methods := reflect.TypeOf(client)
	for i := 0; i < methods.NumMethod(); i++ {
		if method := methods.Method(i); method.Type.IsVariadic() && method.Type.NumOut() == 2 {
			names = append(names, method.Name)
		}
	}
	return names
}

func neverCalled(known []string) []string {
	var never []string
	for _, name := range known {
		if !called[name] {
			never = append(never, name)
		}
	}
	return never
}

// must ends the run at the first call that fails but should not.
func must[T any](answer T, err error) T {
	if err != nil {
		panic(err)
	}
	return answer
}

// refused tests that a call failed with the SDK's own type for an error, and returns the message.
func refused[E smithy.APIError](t *testing.T, err error) string {
	t.Helper()
	message := refusal[E](t, err).ErrorMessage()
	if message == "" {
		t.Errorf("there is no message: %v", err)
	}
	return message
}

// refusedSilently is for errors that KMS gives without a message.
func refusedSilently[E smithy.APIError](t *testing.T, err error) {
	t.Helper()
	equal(t, "", refusal[E](t, err).ErrorMessage())
}

func refusal[E smithy.APIError](t *testing.T, err error) (typed E) {
	t.Helper()
	if !errors.As(err, &typed) {
		t.Fatalf("%T was expected, not: %v", typed, err)
	}
	var response *awshttp.ResponseError
	if !errors.As(err, &response) || response.HTTPStatusCode() != 400 || response.ServiceRequestID() == "" {
		t.Errorf("not a 400 with a request id: %v", err)
	}
	return typed
}

func equal[T any](t *testing.T, want, got T) {
	t.Helper()
	if !reflect.DeepEqual(want, got) {
		t.Errorf("%v was expected, not %v", want, got)
	}
}

func near(t *testing.T, want time.Time, got *time.Time) {
	t.Helper()
	if got == nil || got.Sub(want).Abs() > time.Minute {
		t.Errorf("a time near %v was expected, not %v", want, got)
	}
}

func create(input kms.CreateKeyInput) *types.KeyMetadata {
	return must(client.CreateKey(ctx, &input)).KeyMetadata
}

func describe(key *string) *types.KeyMetadata {
	return must(client.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: key})).KeyMetadata
}

func tag(key, value string) types.Tag {
	return types.Tag{TagKey: aws.String(key), TagValue: aws.String(value)}
}

func root(key *types.KeyMetadata) *string {
	return aws.String("arn:aws:iam::" + *key.AWSAccountId + ":root")
}

func TestAKeyIsMadeAndDescribed(t *testing.T) {
	made := create(kms.CreateKeyInput{Description: aws.String("first")})
	region := os.Getenv("AWS_REGION")
	equal(t, fmt.Sprintf("arn:aws:kms:%s:%s:key/%s", region, *made.AWSAccountId, *made.KeyId), *made.Arn)
	equal(t, true, made.Enabled)
	equal(t, types.KeyStateEnabled, made.KeyState)
	equal(t, types.KeySpecSymmetricDefault, made.KeySpec)
	equal(t, types.KeyUsageTypeEncryptDecrypt, made.KeyUsage)
	equal(t, types.OriginTypeAwsKms, made.Origin)
	equal(t, types.KeyManagerTypeCustomer, made.KeyManager)
	equal(t, []types.EncryptionAlgorithmSpec{types.EncryptionAlgorithmSpecSymmetricDefault}, made.EncryptionAlgorithms)
	near(t, time.Now(), made.CreationDate)

	must(client.UpdateKeyDescription(ctx, &kms.UpdateKeyDescriptionInput{
		KeyId: made.KeyId, Description: aws.String("second"),
	}))
	described := describe(made.Arn)
	equal(t, "second", *described.Description)
	equal(t, *made.CreationDate, *described.CreationDate)
}

func TestTagsAreAddedAndRemoved(t *testing.T) {
	key := create(kms.CreateKeyInput{Tags: []types.Tag{tag("a", "1"), tag("b", "2")}}).KeyId
	must(client.TagResource(ctx, &kms.TagResourceInput{KeyId: key, Tags: []types.Tag{tag("c", "3")}}))
	must(client.UntagResource(ctx, &kms.UntagResourceInput{KeyId: key, TagKeys: []string{"a"}}))

	var tags []string
	pages := kms.NewListResourceTagsPaginator(client, &kms.ListResourceTagsInput{KeyId: key, Limit: aws.Int32(1)})
	for pages.HasMorePages() {
		for _, tag := range must(pages.NextPage(ctx)).Tags {
			tags = append(tags, *tag.TagKey+"="+*tag.TagValue)
		}
	}
	sort.Strings(tags)
	equal(t, []string{"b=2", "c=3"}, tags)

	reserved := &kms.TagResourceInput{KeyId: key, Tags: []types.Tag{tag("aws:a", "1")}}
	_, err := client.TagResource(ctx, reserved)
	equal(t, "Tags beginning with aws: are reserved", refused[*types.TagException](t, err))
}

func TestAKeyIsDisabledAndEnabled(t *testing.T) {
	key := create(kms.CreateKeyInput{})
	must(client.DisableKey(ctx, &kms.DisableKeyInput{KeyId: key.KeyId}))
	_, err := client.Encrypt(ctx, &kms.EncryptInput{KeyId: key.KeyId, Plaintext: []byte("x")})
	equal(t, *key.Arn+" is disabled.", refused[*types.DisabledException](t, err))
	must(client.EnableKey(ctx, &kms.EnableKeyInput{KeyId: key.KeyId}))
	equal(t, types.KeyStateEnabled, describe(key.KeyId).KeyState)
}

func TestDeletionIsScheduledAndCancelled(t *testing.T) {
	key := create(kms.CreateKeyInput{})
	scheduled := must(client.ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{
		KeyId: key.KeyId, PendingWindowInDays: aws.Int32(7),
	}))
	equal(t, *key.Arn, *scheduled.KeyId)
	equal(t, types.KeyStatePendingDeletion, scheduled.KeyState)
	equal(t, 7, *scheduled.PendingWindowInDays)
	near(t, time.Now().Add(7*24*time.Hour), scheduled.DeletionDate)
	_, err := client.EnableKey(ctx, &kms.EnableKeyInput{KeyId: key.KeyId})
	equal(t, *key.Arn+" is pending deletion.", refused[*types.KMSInvalidStateException](t, err))
	cancelled := must(client.CancelKeyDeletion(ctx, &kms.CancelKeyDeletionInput{KeyId: key.KeyId}))
	equal(t, *key.Arn, *cancelled.KeyId)
	equal(t, types.KeyStateDisabled, describe(key.KeyId).KeyState)
}

func TestKeysComeInPages(t *testing.T) {
	made := map[string]string{}
	for i := 0; i < 5; i++ {
		key := create(kms.CreateKeyInput{})
		made[*key.KeyId] = *key.Arn
	}
	pages := kms.NewListKeysPaginator(client, &kms.ListKeysInput{Limit: aws.Int32(2)})
	for pages.HasMorePages() {
		page := must(pages.NextPage(ctx))
		for _, key := range page.Keys {
			if arn, ok := made[*key.KeyId]; ok {
				equal(t, arn, *key.KeyArn)
				delete(made, *key.KeyId)
			}
		}
	}
	equal(t, map[string]string{}, made)
	_, err := client.ListKeys(ctx, &kms.ListKeysInput{Marker: aws.String("nonsense")})
	refused[*types.InvalidMarkerException](t, err)
}

func TestAnAliasIsMadeMovedAndDeleted(t *testing.T) {
	first, second := create(kms.CreateKeyInput{}), create(kms.CreateKeyInput{})
	name := aws.String("alias/go-" + *first.KeyId)
	must(client.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: name, TargetKeyId: first.KeyId}))
	equal(t, *first.Arn, *describe(name).Arn)
	_, err := client.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: name, TargetKeyId: second.KeyId})
	message := refused[*types.AlreadyExistsException](t, err)
	equal(t, true, strings.HasSuffix(message, *name+" already exists"))
	must(client.UpdateAlias(ctx, &kms.UpdateAliasInput{AliasName: name, TargetKeyId: second.KeyId}))
	equal(t, *second.Arn, *describe(name).Arn)
	must(client.DeleteAlias(ctx, &kms.DeleteAliasInput{AliasName: name}))
	_, err = client.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: name})
	message = refused[*types.NotFoundException](t, err)
	equal(t, true, strings.HasSuffix(message, *name+" is not found."))
}

func TestAliasesComeInPages(t *testing.T) {
	key := create(kms.CreateKeyInput{})
	want := map[string]bool{}
	for i := 0; i < 5; i++ {
		name := fmt.Sprintf("alias/go-%s/%d", *key.KeyId, i)
		must(client.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: &name, TargetKeyId: key.KeyId}))
		want[name] = true
	}
	got := map[string]bool{}
	var sizes []int
	pages := kms.NewListAliasesPaginator(client, &kms.ListAliasesInput{KeyId: key.KeyId, Limit: aws.Int32(2)})
	for pages.HasMorePages() {
		page := must(pages.NextPage(ctx))
		sizes = append(sizes, len(page.Aliases))
		for _, alias := range page.Aliases {
			got[*alias.AliasName] = true
			equal(t, *key.KeyId, *alias.TargetKeyId)
			equal(t, true, strings.HasSuffix(*alias.AliasArn, ":"+*alias.AliasName))
			near(t, time.Now(), alias.CreationDate)
			near(t, time.Now(), alias.LastUpdatedDate)
		}
	}
	equal(t, want, got)
	equal(t, []int{2, 2, 1}, sizes)
}

func TestEncryptAndDecrypt(t *testing.T) {
	key := create(kms.CreateKeyInput{})
	encryptionContext := map[string]string{"tenant": "a", "ключ": "значение"}
	encrypted := must(client.Encrypt(ctx, &kms.EncryptInput{
		KeyId: key.KeyId, Plaintext: []byte("secret"), EncryptionContext: encryptionContext,
	}))
	equal(t, *key.Arn, *encrypted.KeyId)
	equal(t, types.EncryptionAlgorithmSpecSymmetricDefault, encrypted.EncryptionAlgorithm)

	blob := encrypted.CiphertextBlob
	decrypted := must(client.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: blob, EncryptionContext: encryptionContext}))
	equal(t, "secret", string(decrypted.Plaintext))
	equal(t, *key.Arn, *decrypted.KeyId)

	// KMS gives no message here, lest it say what was wrong.
	_, err := client.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: blob})
	refusedSilently[*types.InvalidCiphertextException](t, err)
	other := create(kms.CreateKeyInput{})
	_, err = client.Decrypt(ctx, &kms.DecryptInput{
		CiphertextBlob: blob, EncryptionContext: encryptionContext, KeyId: other.KeyId,
	})
	refused[*types.IncorrectKeyException](t, err)
}

func TestReEncrypt(t *testing.T) {
	from, to := create(kms.CreateKeyInput{}), create(kms.CreateKeyInput{})
	encrypted := must(client.Encrypt(ctx, &kms.EncryptInput{KeyId: from.KeyId, Plaintext: []byte("moved")}))
	encryptionContext := map[string]string{"tenant": "a"}
	moved := must(client.ReEncrypt(ctx, &kms.ReEncryptInput{
		CiphertextBlob: encrypted.CiphertextBlob, DestinationKeyId: to.KeyId,
		DestinationEncryptionContext: encryptionContext,
	}))
	equal(t, *from.Arn, *moved.SourceKeyId)
	equal(t, *to.Arn, *moved.KeyId)
	equal(t, types.EncryptionAlgorithmSpecSymmetricDefault, moved.SourceEncryptionAlgorithm)
	equal(t, types.EncryptionAlgorithmSpecSymmetricDefault, moved.DestinationEncryptionAlgorithm)
	decrypted := must(client.Decrypt(ctx, &kms.DecryptInput{
		CiphertextBlob: moved.CiphertextBlob, EncryptionContext: encryptionContext,
	}))
	equal(t, "moved", string(decrypted.Plaintext))
}

func decrypt(blob []byte) []byte {
	return must(client.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: blob})).Plaintext
}

func TestDataKeys(t *testing.T) {
	key := create(kms.CreateKeyInput{})
	dataKey := must(client.GenerateDataKey(ctx, &kms.GenerateDataKeyInput{
		KeyId: key.KeyId, NumberOfBytes: aws.Int32(33),
	}))
	equal(t, *key.Arn, *dataKey.KeyId)
	equal(t, 33, len(dataKey.Plaintext))
	equal(t, dataKey.Plaintext, decrypt(dataKey.CiphertextBlob))
	sealed := must(client.GenerateDataKeyWithoutPlaintext(ctx, &kms.GenerateDataKeyWithoutPlaintextInput{
		KeyId: key.KeyId, KeySpec: types.DataKeySpecAes128,
	}))
	equal(t, *key.Arn, *sealed.KeyId)
	equal(t, 16, len(decrypt(sealed.CiphertextBlob)))
}

func TestDataKeyPairs(t *testing.T) {
	key := create(kms.CreateKeyInput{})
	pair := must(client.GenerateDataKeyPair(ctx, &kms.GenerateDataKeyPairInput{
		KeyId: key.KeyId, KeyPairSpec: types.DataKeyPairSpecEccNistP256,
	}))
	equal(t, *key.Arn, *pair.KeyId)
	equal(t, types.DataKeyPairSpecEccNistP256, pair.KeyPairSpec)
	equal(t, pair.PrivateKeyPlaintext, decrypt(pair.PrivateKeyCiphertextBlob))
	private := must(x509.ParsePKCS8PrivateKey(pair.PrivateKeyPlaintext)).(*ecdsa.PrivateKey)
	equal(t, true, private.PublicKey.Equal(must(x509.ParsePKIXPublicKey(pair.PublicKey))))

	sealed := must(client.GenerateDataKeyPairWithoutPlaintext(ctx, &kms.GenerateDataKeyPairWithoutPlaintextInput{
		KeyId: key.KeyId, KeyPairSpec: types.DataKeyPairSpecRsa2048,
	}))
	equal(t, types.DataKeyPairSpecRsa2048, sealed.KeyPairSpec)
	opened := must(x509.ParsePKCS8PrivateKey(decrypt(sealed.PrivateKeyCiphertextBlob))).(*rsa.PrivateKey)
	equal(t, true, opened.PublicKey.Equal(must(x509.ParsePKIXPublicKey(sealed.PublicKey))))
}

func TestRandomBytes(t *testing.T) {
	random := func() []byte {
		return must(client.GenerateRandom(ctx, &kms.GenerateRandomInput{NumberOfBytes: aws.Int32(16)})).Plaintext
	}
	first, second := random(), random()
	equal(t, 16, len(first))
	equal(t, false, bytes.Equal(first, second))
	_, err := client.GenerateRandom(ctx, &kms.GenerateRandomInput{NumberOfBytes: aws.Int32(1025)})
	// Modelled nowhere: the SDK has its general type for it.
	message := refused[*smithy.GenericAPIError](t, err)
	equal(t, true, strings.Contains(message, "Value '1025' at 'numberOfBytes'"))
}

func publicKey(key *types.KeyMetadata) *kms.GetPublicKeyOutput {
	return must(client.GetPublicKey(ctx, &kms.GetPublicKeyInput{KeyId: key.KeyId}))
}

func TestSignAndVerify(t *testing.T) {
	key := create(kms.CreateKeyInput{KeySpec: types.KeySpecEccNistP384, KeyUsage: types.KeyUsageTypeSignVerify})
	equal(t, []types.SigningAlgorithmSpec{types.SigningAlgorithmSpecEcdsaSha384}, key.SigningAlgorithms)
	public := publicKey(key)
	equal(t, *key.Arn, *public.KeyId)
	equal(t, types.KeySpecEccNistP384, public.KeySpec)
	equal(t, types.KeyUsageTypeSignVerify, public.KeyUsage)
	equal(t, key.SigningAlgorithms, public.SigningAlgorithms)

	message, algorithm := []byte("m"), types.SigningAlgorithmSpecEcdsaSha384
	signed := must(client.Sign(ctx, &kms.SignInput{
		KeyId: key.KeyId, Message: message, SigningAlgorithm: algorithm,
	}))
	equal(t, *key.Arn, *signed.KeyId)
	equal(t, algorithm, signed.SigningAlgorithm)
	digest := sha512.Sum384(message)
	parsed := must(x509.ParsePKIXPublicKey(public.PublicKey)).(*ecdsa.PublicKey)
	equal(t, true, ecdsa.VerifyASN1(parsed, digest[:], signed.Signature))

	verify := kms.VerifyInput{
		KeyId: key.KeyId, Message: digest[:], MessageType: types.MessageTypeDigest,
		SigningAlgorithm: algorithm, Signature: signed.Signature,
	}
	verified := must(client.Verify(ctx, &verify))
	equal(t, true, verified.SignatureValid)
	equal(t, *key.Arn, *verified.KeyId)
	digest[0] ^= 1
	_, err := client.Verify(ctx, &verify)
	refusedSilently[*types.KMSInvalidSignatureException](t, err)
	_, err = client.Encrypt(ctx, &kms.EncryptInput{KeyId: key.KeyId, Plaintext: message})
	refused[*types.InvalidKeyUsageException](t, err)
}

func TestRSAEncryptionFromOutside(t *testing.T) {
	key := create(kms.CreateKeyInput{KeySpec: types.KeySpecRsa2048, KeyUsage: types.KeyUsageTypeEncryptDecrypt})
	public := publicKey(key)
	equal(t, key.EncryptionAlgorithms, public.EncryptionAlgorithms)
	parsed := must(x509.ParsePKIXPublicKey(public.PublicKey)).(*rsa.PublicKey)
	blob := must(rsa.EncryptOAEP(sha256.New(), rand.Reader, parsed, []byte("from outside"), nil))
	decrypted := must(client.Decrypt(ctx, &kms.DecryptInput{
		KeyId: key.KeyId, CiphertextBlob: blob, EncryptionAlgorithm: types.EncryptionAlgorithmSpecRsaesOaepSha256,
	}))
	equal(t, "from outside", string(decrypted.Plaintext))
	equal(t, types.EncryptionAlgorithmSpecRsaesOaepSha256, decrypted.EncryptionAlgorithm)
}

func TestMACs(t *testing.T) {
	key := create(kms.CreateKeyInput{KeySpec: types.KeySpecHmac512, KeyUsage: types.KeyUsageTypeGenerateVerifyMac})
	equal(t, []types.MacAlgorithmSpec{types.MacAlgorithmSpecHmacSha512}, key.MacAlgorithms)
	made := must(client.GenerateMac(ctx, &kms.GenerateMacInput{
		KeyId: key.KeyId, Message: []byte("m"), MacAlgorithm: types.MacAlgorithmSpecHmacSha512,
	}))
	equal(t, *key.Arn, *made.KeyId)
	equal(t, 64, len(made.Mac))
	verify := kms.VerifyMacInput{KeyId: key.KeyId, Message: []byte("m"), MacAlgorithm: made.MacAlgorithm, Mac: made.Mac}
	equal(t, true, must(client.VerifyMac(ctx, &verify)).MacValid)
	verify.Message = []byte("n")
	_, err := client.VerifyMac(ctx, &verify)
	refusedSilently[*types.KMSInvalidMacException](t, err)
	_, err = client.GetPublicKey(ctx, &kms.GetPublicKeyInput{KeyId: key.KeyId})
	refusedSilently[*types.UnsupportedOperationException](t, err)
}

func TestKeyPolicies(t *testing.T) {
	key, name := create(kms.CreateKeyInput{}), aws.String("default")
	read := func() string {
		return *must(client.GetKeyPolicy(ctx, &kms.GetKeyPolicyInput{KeyId: key.KeyId, PolicyName: name})).Policy
	}
	var policy struct {
		Version   string
		Statement []map[string]any
	}
	if err := json.Unmarshal([]byte(read()), &policy); err != nil {
		t.Fatal(err)
	}
	principal := policy.Statement[0]["Principal"].(map[string]any)
	equal(t, *root(key), principal["AWS"].(string))
	policy.Statement[0]["Sid"] = "from Go"
	changed := string(must(json.Marshal(policy)))
	must(client.PutKeyPolicy(ctx, &kms.PutKeyPolicyInput{KeyId: key.KeyId, PolicyName: name, Policy: &changed}))
	equal(t, changed, read())

	pages := kms.NewListKeyPoliciesPaginator(client, &kms.ListKeyPoliciesInput{KeyId: key.KeyId})
	equal(t, []string{"default"}, must(pages.NextPage(ctx)).PolicyNames)
	equal(t, false, pages.HasMorePages())
	_, err := client.PutKeyPolicy(ctx, &kms.PutKeyPolicyInput{
		KeyId: key.KeyId, PolicyName: name, Policy: aws.String("{}"),
	})
	refused[*types.MalformedPolicyDocumentException](t, err)
}

func grantTo(key *types.KeyMetadata, name string) *kms.CreateGrantOutput {
	return must(client.CreateGrant(ctx, &kms.CreateGrantInput{
		KeyId: key.KeyId, Name: &name, GranteePrincipal: root(key), RetiringPrincipal: root(key),
		Operations:  []types.GrantOperation{types.GrantOperationDecrypt},
		Constraints: &types.GrantConstraints{EncryptionContextEquals: map[string]string{"tenant": "a"}},
	}))
}

func TestGrantsComeInPages(t *testing.T) {
	key := create(kms.CreateKeyInput{})
	want := map[string]string{}
	for i := 0; i < 5; i++ {
		name := fmt.Sprintf("grant-%d", i)
		want[*grantTo(key, name).GrantId] = name
	}
	got := map[string]string{}
	pages := kms.NewListGrantsPaginator(client, &kms.ListGrantsInput{KeyId: key.KeyId, Limit: aws.Int32(2)})
	for pages.HasMorePages() {
		for _, grant := range must(pages.NextPage(ctx)).Grants {
			got[*grant.GrantId] = *grant.Name
			equal(t, *key.Arn, *grant.KeyId)
			equal(t, *root(key), *grant.GranteePrincipal)
			equal(t, *root(key), *grant.IssuingAccount)
			equal(t, []types.GrantOperation{types.GrantOperationDecrypt}, grant.Operations)
			equal(t, map[string]string{"tenant": "a"}, grant.Constraints.EncryptionContextEquals)
			near(t, time.Now(), grant.CreationDate)
		}
	}
	equal(t, want, got)
}

func TestGrantsAreRetiredAndRevoked(t *testing.T) {
	key := create(kms.CreateKeyInput{})
	retired, revoked := grantTo(key, "retired"), grantTo(key, "revoked")
	equal(t, true, retirable(key)[*retired.GrantId])
	must(client.RetireGrant(ctx, &kms.RetireGrantInput{GrantToken: retired.GrantToken}))
	equal(t, false, retirable(key)[*retired.GrantId])
	revoke := kms.RevokeGrantInput{KeyId: key.KeyId, GrantId: revoked.GrantId}
	must(client.RevokeGrant(ctx, &revoke))
	equal(t, 0, len(must(client.ListGrants(ctx, &kms.ListGrantsInput{KeyId: key.KeyId})).Grants))
	_, err := client.RevokeGrant(ctx, &revoke)
	refused[*types.NotFoundException](t, err)

	_, err = client.CreateGrant(ctx, &kms.CreateGrantInput{
		KeyId: key.KeyId, GranteePrincipal: aws.String("nobody"),
		Operations: []types.GrantOperation{types.GrantOperationDecrypt},
	})
	refused[*types.InvalidArnException](t, err)
}

// retirable are the ids of all grants that the account of a key may retire.
func retirable(key *types.KeyMetadata) map[string]bool {
	ids := map[string]bool{}
	pages := kms.NewListRetirableGrantsPaginator(client, &kms.ListRetirableGrantsInput{
		RetiringPrincipal: root(key), Limit: aws.Int32(3),
	})
	for pages.HasMorePages() {
		for _, grant := range must(pages.NextPage(ctx)).Grants {
			ids[*grant.GrantId] = true
		}
	}
	return ids
}

func TestRotationIsEnabledAndDisabled(t *testing.T) {
	key := create(kms.CreateKeyInput{}).KeyId
	rotates := func() bool {
		return must(client.GetKeyRotationStatus(ctx, &kms.GetKeyRotationStatusInput{KeyId: key})).KeyRotationEnabled
	}
	equal(t, false, rotates())
	must(client.EnableKeyRotation(ctx, &kms.EnableKeyRotationInput{KeyId: key}))
	equal(t, true, rotates())
	must(client.DisableKeyRotation(ctx, &kms.DisableKeyRotationInput{KeyId: key}))
	equal(t, false, rotates())
}

func TestAReplicaInAnotherRegion(t *testing.T) {
	primary := create(kms.CreateKeyInput{MultiRegion: aws.Bool(true)})
	equal(t, types.MultiRegionKeyTypePrimary, primary.MultiRegionConfiguration.MultiRegionKeyType)
	replicated := must(client.ReplicateKey(ctx, &kms.ReplicateKeyInput{
		KeyId: primary.KeyId, ReplicaRegion: aws.String(otherRegion), Tags: []types.Tag{tag("a", "1")},
	}))
	replica := replicated.ReplicaKeyMetadata
	equal(t, *primary.KeyId, *replica.KeyId)
	equal(t, types.MultiRegionKeyTypeReplica, replica.MultiRegionConfiguration.MultiRegionKeyType)
	equal(t, *primary.Arn, *replica.MultiRegionConfiguration.PrimaryKey.Arn)
	equal(t, []types.Tag{tag("a", "1")}, replicated.ReplicaTags)
	equal(t, true, json.Valid([]byte(*replicated.ReplicaPolicy)))

	encrypted := must(client.Encrypt(ctx, &kms.EncryptInput{KeyId: primary.KeyId, Plaintext: []byte("x")}))
	decrypted := must(elsewhere.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: encrypted.CiphertextBlob}))
	equal(t, *replica.Arn, *decrypted.KeyId)
	must(client.UpdatePrimaryRegion(ctx, &kms.UpdatePrimaryRegionInput{
		KeyId: primary.KeyId, PrimaryRegion: aws.String(otherRegion),
	}))
	described := describe(primary.KeyId).MultiRegionConfiguration
	equal(t, otherRegion, *described.PrimaryKey.Region)
	equal(t, *primary.Arn, *described.ReplicaKeys[0].Arn)
}

func parametersForImport(t *testing.T, key *types.KeyMetadata) *kms.GetParametersForImportOutput {
	t.Helper()
	parameters := must(client.GetParametersForImport(ctx, &kms.GetParametersForImportInput{
		KeyId: key.KeyId, WrappingAlgorithm: types.AlgorithmSpecRsaesOaepSha256,
		WrappingKeySpec: types.WrappingKeySpecRsa2048,
	}))
	equal(t, *key.Arn, *parameters.KeyId)
	near(t, time.Now().Add(24*time.Hour), parameters.ParametersValidTo)
	return parameters
}

func importOf(
	key *types.KeyMetadata, material []byte, with *kms.GetParametersForImportOutput,
) *kms.ImportKeyMaterialInput {
	public := must(x509.ParsePKIXPublicKey(with.PublicKey)).(*rsa.PublicKey)
	return &kms.ImportKeyMaterialInput{
		KeyId: key.KeyId, ImportToken: with.ImportToken,
		EncryptedKeyMaterial: must(rsa.EncryptOAEP(sha256.New(), rand.Reader, public, material, nil)),
		ExpirationModel:      types.ExpirationModelTypeKeyMaterialDoesNotExpire,
	}
}

func TestMaterialIsImportedDeletedAndImportedAgain(t *testing.T) {
	key := create(kms.CreateKeyInput{Origin: types.OriginTypeExternal})
	equal(t, types.KeyStatePendingImport, key.KeyState)
	material := make([]byte, 32)
	must(rand.Read(material))
	first := importOf(key, material, parametersForImport(t, key))
	validTo := time.Now().Add(time.Hour).Truncate(time.Second).UTC()
	first.ExpirationModel, first.ValidTo = types.ExpirationModelTypeKeyMaterialExpires, &validTo
	must(client.ImportKeyMaterial(ctx, first))
	described := describe(key.KeyId)
	equal(t, types.KeyStateEnabled, described.KeyState)
	equal(t, types.ExpirationModelTypeKeyMaterialExpires, described.ExpirationModel)
	equal(t, validTo, *described.ValidTo)

	blob := must(client.Encrypt(ctx, &kms.EncryptInput{KeyId: key.KeyId, Plaintext: []byte("kept")})).CiphertextBlob
	must(client.DeleteImportedKeyMaterial(ctx, &kms.DeleteImportedKeyMaterialInput{KeyId: key.KeyId}))
	_, err := client.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: blob})
	equal(t, *key.Arn+" is pending import.", refused[*types.KMSInvalidStateException](t, err))

	_, err = client.ImportKeyMaterial(ctx, importOf(key, make([]byte, 32), parametersForImport(t, key)))
	refused[*types.IncorrectKeyMaterialException](t, err)
	must(client.ImportKeyMaterial(ctx, importOf(key, material, parametersForImport(t, key))))
	equal(t, "kept", string(decrypt(blob)))
}

func TestImportedMaterialOfAMACKeyIsUsedAsItIs(t *testing.T) {
	key := create(kms.CreateKeyInput{
		Origin: types.OriginTypeExternal, KeySpec: types.KeySpecHmac256, KeyUsage: types.KeyUsageTypeGenerateVerifyMac,
	})
	material := []byte("a secret of forty-eight bytes, which is random..")
	must(client.ImportKeyMaterial(ctx, importOf(key, material, parametersForImport(t, key))))
	made := must(client.GenerateMac(ctx, &kms.GenerateMacInput{
		KeyId: key.KeyId, Message: []byte("m"), MacAlgorithm: types.MacAlgorithmSpecHmacSha256,
	}))
	mac := hmac.New(sha256.New, material)
	mac.Write([]byte("m"))
	equal(t, mac.Sum(nil), made.Mac)
}

func TestAnImportNeedsItsOwnToken(t *testing.T) {
	key := create(kms.CreateKeyInput{Origin: types.OriginTypeExternal})
	other := parametersForImport(t, create(kms.CreateKeyInput{Origin: types.OriginTypeExternal}))
	_, err := client.ImportKeyMaterial(ctx, importOf(key, make([]byte, 32), other))
	refusedSilently[*types.InvalidImportTokenException](t, err)
}

func TestThereAreNoCustomKeyStores(t *testing.T) {
	pages := kms.NewDescribeCustomKeyStoresPaginator(client, &kms.DescribeCustomKeyStoresInput{})
	equal(t, 0, len(must(pages.NextPage(ctx)).CustomKeyStores))
	equal(t, false, pages.HasMorePages())

	id := aws.String("cks-1234567890abcdef0")
	absent := func(err error) {
		t.Helper()
		message := refused[*types.CustomKeyStoreNotFoundException](t, err)
		equal(t, "Custom key store "+*id+" is not found.", message)
	}
	_, err := client.DescribeCustomKeyStores(ctx, &kms.DescribeCustomKeyStoresInput{CustomKeyStoreId: id})
	absent(err)
	_, err = client.ConnectCustomKeyStore(ctx, &kms.ConnectCustomKeyStoreInput{CustomKeyStoreId: id})
	absent(err)
	_, err = client.DisconnectCustomKeyStore(ctx, &kms.DisconnectCustomKeyStoreInput{CustomKeyStoreId: id})
	absent(err)
	_, err = client.UpdateCustomKeyStore(ctx, &kms.UpdateCustomKeyStoreInput{CustomKeyStoreId: id})
	absent(err)
	_, err = client.DeleteCustomKeyStore(ctx, &kms.DeleteCustomKeyStoreInput{CustomKeyStoreId: id})
	absent(err)
}

func TestNoCustomKeyStoreCanBeMade(t *testing.T) {
	_, err := client.CreateCustomKeyStore(ctx, &kms.CreateCustomKeyStoreInput{
		CustomKeyStoreName: aws.String("store"), CloudHsmClusterId: aws.String("cluster-2a23b4cdefg"),
		KeyStorePassword: aws.String("password1"), TrustAnchorCertificate: aws.String("-----BEGIN CERTIFICATE-----"),
	})
	refused[*types.CloudHsmClusterNotFoundException](t, err)
}
