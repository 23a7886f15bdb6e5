# frozen_string_literal: true

# Every operation that the AWS SDK for Ruby knows, through it: none is left out, and all answers parse.
require "aws-sdk-kms"
require "json"
require "minitest/autorun"
require "openssl"

# Credentials and region are the SDK's to find: they are in its usual variables.
KMS = Aws::KMS::Client.new(endpoint: ENV.fetch("CLAVIGER_URL"), retry_limit: 0)
CALLED = []
KMS.handle_request(step: :sign) { |context| CALLED << context.operation_name }

Minitest.after_run do
  known = Aws::KMS::Client.api.operation_names
  abort "only #{known.size} operations" if known.size < 41
  never_called = known - CALLED
  abort "never called: #{never_called.join(", ")}" unless never_called.empty?
  puts "#{known.size} operations of aws-sdk-kms #{Aws::KMS::GEM_VERSION}"
end

# What several tests do.
class KmsTest < Minitest::Test
  UUID = /\A\h{8}(-\h{4}){3}-\h{12}\z/

  private

  def create(**input)
    KMS.create_key(**input).key_metadata
  end

  # Tests that `call` fails with this SDK's own class for an error, and returns the message.
  def refused(name, &call)
    error = refusal(name, &call)
    refute_equal error.class.name, error.message, "there is no message"
    error.message
  end

  # For errors that KMS gives without a message: Ruby then takes the name of the class.
  def refused_silently(name, &call)
    error = refusal(name, &call)
    assert_equal error.class.name, error.message
  end

  def refusal(name, &call)
    error = assert_raises(Aws::KMS::Errors.const_get(name), &call)
    assert_equal name.to_s, error.code
    assert_equal 400, error.context.http_response.status_code
    assert_match UUID, error.context.http_response.headers["x-amzn-requestid"]
    error
  end

  def assert_now(time)
    assert_instance_of Time, time
    assert_in_delta Time.now, time, 60
  end
end

class KeysTest < KmsTest
  def test_a_key_is_made_and_described
    made = create(description: "first", tags: [{ tag_key: "a", tag_value: "1" }])
    assert_match UUID, made.key_id
    assert_equal "arn:aws:kms:#{KMS.config.region}:#{made.aws_account_id}:key/#{made.key_id}", made.arn
    assert_equal ["Enabled", true], [made.key_state, made.enabled]
    assert_equal %w[ENCRYPT_DECRYPT AWS_KMS CUSTOMER], [made.key_usage, made.origin, made.key_manager]
    assert_now made.creation_date

    KMS.update_key_description(key_id: made.key_id, description: "second")
    described = KMS.describe_key(key_id: made.arn).key_metadata
    assert_equal "second", described.description
    assert_equal made.creation_date, described.creation_date
  end

  def test_tags_are_added_and_removed
    key_id = create(tags: [{ tag_key: "a", tag_value: "1" }]).key_id
    KMS.tag_resource(key_id: key_id, tags: [{ tag_key: "b", tag_value: "2" }])
    KMS.untag_resource(key_id: key_id, tag_keys: ["a"])
    listed = KMS.list_resource_tags(key_id: key_id)
    assert_equal [{ tag_key: "b", tag_value: "2" }], listed.tags.map(&:to_h)
    refute listed.truncated
    reserved = { key_id: key_id, tags: [{ tag_key: "aws:b", tag_value: "2" }] }
    refused(:TagException) { KMS.tag_resource(**reserved) }
  end

  def test_a_key_is_disabled_and_enabled
    key = create
    KMS.disable_key(key_id: key.key_id)
    message = refused(:DisabledException) { KMS.encrypt(key_id: key.key_id, plaintext: "x") }
    assert_equal "#{key.arn} is disabled.", message
    KMS.enable_key(key_id: key.key_id)
    assert KMS.describe_key(key_id: key.key_id).key_metadata.enabled
  end

  def test_deletion_is_scheduled_and_cancelled
    key = create
    scheduled = KMS.schedule_key_deletion(key_id: key.key_id, pending_window_in_days: 7)
    assert_equal key.arn, scheduled.key_id
    assert_in_delta Time.now + 7 * 86_400, scheduled.deletion_date, 60
    message = refused(:KMSInvalidStateException) { KMS.enable_key(key_id: key.key_id) }
    assert_equal "#{key.arn} is pending deletion.", message
    assert_equal key.arn, KMS.cancel_key_deletion(key_id: key.key_id).key_id
    assert_equal "Disabled", KMS.describe_key(key_id: key.key_id).key_metadata.key_state
  end

  def test_keys_come_in_pages
    made = Array.new(5) { create.key_id }
    listed = pages_of(KMS.list_keys(limit: 2)).flat_map(&:keys)
    assert_empty made - listed.map(&:key_id)
    assert_equal listed.uniq, listed
    assert listed.all? { |key| key.key_arn.end_with?(":key/#{key.key_id}") }
    refused(:InvalidMarkerException) { KMS.list_keys(marker: "nonsense") }
  end

  def test_an_alias_is_made_moved_and_deleted
    first, second = create, create
    name = "alias/ruby-#{first.key_id}"
    KMS.create_alias(alias_name: name, target_key_id: first.key_id)
    assert_equal first.arn, KMS.describe_key(key_id: name).key_metadata.arn
    refused(:AlreadyExistsException) { KMS.create_alias(alias_name: name, target_key_id: second.key_id) }
    KMS.update_alias(alias_name: name, target_key_id: second.key_id)
    assert_equal second.arn, KMS.describe_key(key_id: name).key_metadata.arn
    KMS.delete_alias(alias_name: name)
    refused(:NotFoundException) { KMS.describe_key(key_id: name) }
  end

  def test_aliases_come_in_pages
    key = create
    names = Array.new(5) { |n| "alias/ruby-#{key.key_id}/#{n}" }
    names.each { |name| KMS.create_alias(alias_name: name, target_key_id: key.key_id) }
    pages = pages_of(KMS.list_aliases(key_id: key.key_id, limit: 2))
    assert_equal [2, 2, 1], pages.map { |page| page.aliases.size }
    listed = pages.flat_map(&:aliases)
    assert_equal names, listed.map(&:alias_name).sort
    assert_equal [key.key_id], listed.map(&:target_key_id).uniq
    assert_equal key.arn.sub(/key\/.*/, names.first), listed.min_by(&:alias_name).alias_arn
  end

  private

  # The SDK's own pager.
  def pages_of(response)
    response.each_page.to_a
  end
end

class DataTest < KmsTest
  CONTEXT = { "tenant" => "a", "ключ" => "значение" }.freeze

  def test_encrypt_and_decrypt
    key = create
    encrypted = KMS.encrypt(key_id: key.key_id, plaintext: "secret\0", encryption_context: CONTEXT)
    assert_equal key.arn, encrypted.key_id
    blob = encrypted.ciphertext_blob
    decrypted = KMS.decrypt(ciphertext_blob: blob, encryption_context: CONTEXT)
    assert_equal ["secret\0", key.arn], [decrypted.plaintext, decrypted.key_id]
    refused_silently(:InvalidCiphertextException) { KMS.decrypt(ciphertext_blob: blob, encryption_context: { "tenant" => "b" }) }
    refused_silently(:InvalidCiphertextException) { KMS.decrypt(ciphertext_blob: "nonsense") }
  end

  def test_re_encrypt
    from, to = create, create
    blob = KMS.encrypt(key_id: from.key_id, plaintext: "moved", encryption_context: CONTEXT).ciphertext_blob
    moved = KMS.re_encrypt(
      ciphertext_blob: blob, source_encryption_context: CONTEXT, destination_key_id: to.key_id,
    )
    assert_equal [from.arn, to.arn], [moved.source_key_id, moved.key_id]
    assert_equal "moved", KMS.decrypt(ciphertext_blob: moved.ciphertext_blob).plaintext
  end

  def test_data_keys
    key = create
    data_key = KMS.generate_data_key(key_id: key.key_id, key_spec: "AES_256")
    assert_equal [32, key.arn], [data_key.plaintext.bytesize, data_key.key_id]
    assert_equal data_key.plaintext, KMS.decrypt(ciphertext_blob: data_key.ciphertext_blob).plaintext
    assert_equal 33, KMS.generate_data_key(key_id: key.key_id, number_of_bytes: 33).plaintext.bytesize

    sealed = KMS.generate_data_key_without_plaintext(key_id: key.key_id, key_spec: "AES_128")
    assert_equal key.arn, sealed.key_id
    assert_equal 16, KMS.decrypt(ciphertext_blob: sealed.ciphertext_blob).plaintext.bytesize
  end

  def test_random_bytes
    first, second = Array.new(2) { KMS.generate_random(number_of_bytes: 16).plaintext }
    assert_equal 16, first.bytesize
    refute_equal first, second
    # Modelled nowhere: the SDK makes the class when it meets the name.
    refused(:ValidationException) { KMS.generate_random(number_of_bytes: 1025) }
  end
end

class PoliciesTest < KmsTest
  def test_a_key_policy_is_read_and_written
    key = create
    policy = KMS.get_key_policy(key_id: key.key_id, policy_name: "default").policy
    statement = JSON.parse(policy).fetch("Statement").first
    assert_equal root_of(key), statement.dig("Principal", "AWS")
    changed = JSON.generate("Version" => "2012-10-17", "Statement" => [statement.merge("Sid" => "from Ruby")])
    KMS.put_key_policy(key_id: key.key_id, policy_name: "default", policy: changed)
    read = KMS.get_key_policy(key_id: key.key_id, policy_name: "default").policy
    assert_equal JSON.parse(changed), JSON.parse(read)
    assert_equal ["default"], KMS.list_key_policies(key_id: key.key_id).each_page.flat_map(&:policy_names)
    refused(:MalformedPolicyDocumentException) do
      KMS.put_key_policy(key_id: key.key_id, policy_name: "default", policy: "{}")
    end
  end

  def test_grants_are_listed_in_pages_retired_and_revoked
    key = create
    retired, *others = Array.new(5) { |n| grant(key, name: "grant-#{n}") }
    pages = KMS.list_grants(key_id: key.key_id, limit: 2).each_page.to_a
    assert_equal [2, 2, 1], pages.map { |page| page.grants.size }
    listed = pages.flat_map(&:grants).find { |grant| grant.grant_id == retired.grant_id }
    assert_equal ["grant-0", key.arn, ["Decrypt"]], [listed.name, listed.key_id, listed.operations]
    assert_equal({ "tenant" => "a" }, listed.constraints.encryption_context_subset)
    assert_now listed.creation_date

    retirable = KMS.list_retirable_grants(retiring_principal: root_of(key), limit: 100).grants
    assert_includes retirable.map(&:grant_id), retired.grant_id
    KMS.retire_grant(grant_token: retired.grant_token)
    others.each { |grant| KMS.revoke_grant(key_id: key.key_id, grant_id: grant.grant_id) }
    assert_empty KMS.list_grants(key_id: key.key_id).grants
    refused(:NotFoundException) { KMS.revoke_grant(key_id: key.key_id, grant_id: retired.grant_id) }
  end

  def test_a_principal_must_be_an_arn
    key = create
    refused(:InvalidArnException) do
      KMS.create_grant(key_id: key.key_id, grantee_principal: "nobody", operations: ["Decrypt"])
    end
  end

  private

  def root_of(key)
    "arn:aws:iam::#{key.aws_account_id}:root"
  end

  def grant(key, name:)
    KMS.create_grant(
      key_id: key.key_id, name: name, operations: ["Decrypt"],
      grantee_principal: root_of(key), retiring_principal: root_of(key),
      constraints: { encryption_context_subset: { "tenant" => "a" } },
    )
  end
end

class MaterialTest < KmsTest
  def test_rotation_is_enabled_and_disabled
    key_id = create.key_id
    refute KMS.get_key_rotation_status(key_id: key_id).key_rotation_enabled
    KMS.enable_key_rotation(key_id: key_id)
    assert KMS.get_key_rotation_status(key_id: key_id).key_rotation_enabled
    KMS.disable_key_rotation(key_id: key_id)
    refute KMS.get_key_rotation_status(key_id: key_id).key_rotation_enabled
  end

  def test_material_is_imported_deleted_and_imported_again
    key = create(origin: "EXTERNAL")
    assert_equal "PendingImport", key.key_state
    material = OpenSSL::Random.random_bytes(32)
    valid_to = Time.at(Time.now.to_i + 3600)
    import(key, material, expiration_model: "KEY_MATERIAL_EXPIRES", valid_to: valid_to)
    described = KMS.describe_key(key_id: key.key_id).key_metadata
    assert_equal ["Enabled", "KEY_MATERIAL_EXPIRES", valid_to],
                 [described.key_state, described.expiration_model, described.valid_to]

    blob = KMS.encrypt(key_id: key.key_id, plaintext: "kept").ciphertext_blob
    KMS.delete_imported_key_material(key_id: key.key_id)
    message = refused(:KMSInvalidStateException) { KMS.decrypt(ciphertext_blob: blob) }
    assert_equal "#{key.arn} is pending import.", message
    refused(:IncorrectKeyMaterialException) { import(key, "\0" * 32) }
    import(key, material)
    assert_equal "kept", KMS.decrypt(ciphertext_blob: blob).plaintext
  end

  def test_an_import_needs_its_own_token
    key = create(origin: "EXTERNAL")
    parameters_for(create(origin: "EXTERNAL")) => { import_token:, public_key: }
    refused_silently(:InvalidImportTokenException) do
      KMS.import_key_material(
        key_id: key.key_id, import_token: import_token, encrypted_key_material: wrap("\0" * 32, public_key),
        expiration_model: "KEY_MATERIAL_DOES_NOT_EXPIRE",
      )
    end
    refused(:UnsupportedOperationException) { parameters_for(create) }
  end

  private

  def parameters_for(key)
    parameters = KMS.get_parameters_for_import(
      key_id: key.key_id, wrapping_algorithm: "RSAES_OAEP_SHA_256", wrapping_key_spec: "RSA_2048",
    )
    assert_equal key.arn, parameters.key_id
    assert_in_delta Time.now + 86_400, parameters.parameters_valid_to, 60
    parameters.to_h
  end

  def import(key, material, expiration_model: "KEY_MATERIAL_DOES_NOT_EXPIRE", **others)
    parameters_for(key) => { import_token:, public_key: }
    KMS.import_key_material(
      key_id: key.key_id, import_token: import_token, encrypted_key_material: wrap(material, public_key),
      expiration_model: expiration_model, **others,
    )
  end

  def wrap(material, public_key)
    oaep = { "rsa_padding_mode" => "oaep", "rsa_oaep_md" => "sha256" }
    OpenSSL::PKey.read(public_key).encrypt(material, oaep)
  end
end

class CustomKeyStoresTest < KmsTest
  def test_there_are_none
    assert_empty KMS.describe_custom_key_stores.custom_key_stores
    id = "cks-1234567890abcdef0"
    [
      -> { KMS.describe_custom_key_stores(custom_key_store_id: id) },
      -> { KMS.connect_custom_key_store(custom_key_store_id: id) },
      -> { KMS.disconnect_custom_key_store(custom_key_store_id: id) },
      -> { KMS.update_custom_key_store(custom_key_store_id: id, new_custom_key_store_name: "other") },
      -> { KMS.delete_custom_key_store(custom_key_store_id: id) },
      -> { KMS.create_key(origin: "AWS_CLOUDHSM", custom_key_store_id: id) },
    ].each { |call| refused(:CustomKeyStoreNotFoundException, &call) }
  end

  def test_none_can_be_made
    refused(:CloudHsmClusterNotFoundException) do
      KMS.create_custom_key_store(
        custom_key_store_name: "store", cloud_hsm_cluster_id: "cluster-2a23b4cdefg",
        key_store_password: "password1", trust_anchor_certificate: "-----BEGIN CERTIFICATE-----",
      )
    end
  end
end
