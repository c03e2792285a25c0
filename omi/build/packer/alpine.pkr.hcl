# Builds one Alpine OMI with plugin 1.0.2 (hashicorp) as well as 1.6.1 (outscale): nothing here is known to only one of
# them, but for the line in a comment that begins with `since`: the program uncovers it for plugins that know it. Keypair and security group are made and removed by the caller; credentials come from the environment.

variable "region" { type = string }

variable "endpoint" {
  type        = string
  description = "OAPI in the form that the installed plugin wants."
}

variable "source_omi" { type = string }
variable "vm_type" { type = string }

variable "subregion" {
  type        = string
  description = "Empty where OUTSCALE chooses it."
}

variable "subnet" {
  type        = string
  description = "Empty where the VM is in no Net and has a public address."
}

variable "ssh_username" { type = string }
variable "ssh_port" { type = number }
variable "key_file" { type = string }
variable "keypair_name" { type = string }
variable "security_group_id" { type = string }
variable "omi_name" { type = string }
variable "omi_description" { type = string }

variable "boot_modes" { type = list(string) }

variable "volume_size" {
  type        = number
  description = "GiB."
}

variable "volume_type" { type = string }
variable "run_tags" { type = map(string) }
variable "tags" { type = map(string) }

variable "upload" {
  type        = string
  description = "Folder named omi-build with guest/ and data/."
}

variable "output" {
  type        = string
  description = "Folder for what the guest scripts tell of the image."
}

variable "manifest" { type = string }

source "outscale-bsusurrogate" "alpine" {
  region                   = var.region
  custom_endpoint_oapi     = var.endpoint
  insecure_skip_tls_verify = false

  source_omi        = var.source_omi
  vm_type           = var.vm_type
  subregion_name    = var.subregion
  subnet_id         = var.subnet
  security_group_id = var.security_group_id

  communicator         = "ssh"
  ssh_username         = var.ssh_username
  ssh_port             = var.ssh_port
  ssh_interface        = var.subnet == "" ? "public_ip" : "private_ip"
  ssh_keypair_name     = var.keypair_name
  ssh_private_key_file = var.key_file
  ssh_timeout          = "10m"
  # cloud-init may put the key only after sshd has started
  ssh_handshake_attempts = 25

  launch_block_device_mappings {
    device_name           = "/dev/xvdf"
    volume_size           = var.volume_size
    volume_type           = var.volume_type
    delete_on_vm_deletion = true
  }
  omi_root_device {
    source_device_name    = "/dev/xvdf"
    device_name           = "/dev/sda1"
    volume_size           = var.volume_size
    volume_type           = var.volume_type
    delete_on_vm_deletion = true
  }

  #since 1.6: omi_boot_modes = var.boot_modes
  omi_name        = var.omi_name
  omi_description = var.omi_description
  run_tags        = var.run_tags
  run_volume_tags = var.run_tags
  tags            = var.tags
  snapshot_tags   = var.tags
}

build {
  sources = ["source.outscale-bsusurrogate.alpine"]

  provisioner "file" {
    source      = var.upload
    destination = "/tmp"
  }

  provisioner "shell" {
    inline         = ["sudo -n sh /tmp/omi-build/guest/build.sh /tmp/omi-build/data"]
    inline_shebang = "/bin/sh -e"
    skip_clean     = true
  }

  provisioner "file" {
    direction   = "download"
    source      = "/tmp/omi-build/data/out/alpine-omi-release"
    destination = "${var.output}/alpine-omi-release"
  }

  provisioner "file" {
    direction   = "download"
    source      = "/tmp/omi-build/data/out/packages"
    destination = "${var.output}/packages"
  }

  provisioner "file" {
    direction   = "download"
    source      = "/tmp/omi-build/data/out/files"
    destination = "${var.output}/files"
  }

  post-processor "manifest" {
    output     = var.manifest
    strip_path = true
  }
}
