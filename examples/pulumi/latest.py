"""The latest image of a build, from the outputs of the stack that builds them."""

import pulumi

config = pulumi.Config()
build = config.require("build")
latest = pulumi.StackReference(config.require("images")).require_output("latest")

pulumi.export("omi", latest.apply(lambda images: images[build]["omi"]))
