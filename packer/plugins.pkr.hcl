# Packer 1.7 and newer get their builders by `packer init packer/plugins.pkr.hcl`; older ones, such as
# Debian's, have them built in and refuse this block. So it is in a file of its own.
packer {
  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = ">= 1.0.0"
    }
    docker = {
      source  = "github.com/hashicorp/docker"
      version = ">= 1.0.0"
    }
  }
}
