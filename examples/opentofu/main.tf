# The latest image of a version, from the JSON feed, for OpenTofu and Terraform alike. No provider is needed:
#   tofu init && tofu apply -var feed=../../releases/alpine.json -var region=eu-west-2 -var alpine=3.23

variable "feed" {
  description = "Path of the feed, <profile>.json"
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

locals {
  omi = jsondecode(file(var.feed)).latest.version[var.alpine].x86_64[var.region].id
}

output "omi" {
  value = local.omi
}
