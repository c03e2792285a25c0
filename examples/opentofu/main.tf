# The latest image of a version, from the JSON feed, once its signature is checked, for OpenTofu and Terraform alike. No
# provider is needed, but ssh-keygen is. manifest.txt and manifest.txt.sig lie beside the feed:
#   tofu init
#   tofu apply -var feed=new/alpine.json -var signers=allowed_signers -var region=eu-west-2 -var alpine=3.23

terraform {
  required_version = ">= 1.4" # for terraform_data
}

variable "feed" {
  description = "Path of the feed, <profile>.json"
  type        = string
}

variable "signers" {
  description = "Path of the allowed_signers that you trust"
  type        = string
}

variable "region" {
  description = "The Region to launch in"
  type        = string
}

variable "alpine" {
  description = "Alpine's version"
  type        = string
}

# Its output is the image's id, and is there only after the check.
resource "terraform_data" "verified" {
  input            = jsondecode(file(var.feed)).latest.version[var.alpine].x86_64[var.region].id
  triggers_replace = [filesha256(var.feed), filesha256(var.signers)]

  provisioner "local-exec" {
    command = "\"${path.module}/../verify/verify.sh\" \"$SIGNERS\" \"$FOLDER\" \"$FEED\""

    environment = {
      SIGNERS = var.signers
      FOLDER  = dirname(var.feed)
      FEED    = basename(var.feed)
    }
  }
}

output "omi" {
  value = terraform_data.verified.output
}
