# The device set of this build: the Nitro Enclave machine and what it selects.
CONFIG_NITRO_ENCLAVE=y
