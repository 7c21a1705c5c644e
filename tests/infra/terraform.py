"""Terraform on a copy of `terraform/`, without an account at AWS."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT: Final = Path(__file__).parents[2] / "terraform"
MODULES: Final = sorted(path.name for path in (ROOT / "modules").iterdir())
EXAMPLES: Final = sorted(path.name for path in (ROOT / "examples").iterdir())
MIRROR: Final = Path("/opt/tf-plugins")
"""Providers of a machine without Internet; elsewhere `terraform init` downloads them."""

SERVICES: Final = ("autoscaling", "ec2", "elbv2", "iam", "kms", "s3", "sts")
REGION: Final = "eu-central-1"


class Terraform:
    """Terraform with settings of its own.

    Args:
        directory: Receives the copy.
    """

    def __init__(self, directory: Path) -> None:
        self.root = directory / "terraform"
        ignored = shutil.ignore_patterns(".terraform*", "terraform.tfstate*", "terraform.tfvars")
        shutil.copytree(ROOT, self.root, ignore=ignored)
        plugins = directory / "plugins"
        plugins.mkdir()
        settings = directory / "terraformrc"
        settings.write_text(
            f'provider_installation {{\n  filesystem_mirror {{\n    path = "{MIRROR}"\n  }}\n}}\n'
            if MIRROR.is_dir()
            else f'plugin_cache_dir = "{plugins}"\n'
        )
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "TF_CLI_CONFIG_FILE": str(settings),
            # Lock files are made anew for each copy, so each would download what the cache has.
            "TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE": "1",
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
        }

    def run(self, folder: str, *arguments: str, code: int = 0) -> str:
        """Run one command in a folder below `terraform/` and return what it printed."""
        command = ["terraform", f"-chdir={self.root / folder}", *arguments]
        done = subprocess.run(
            command,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=280,
            check=False,
        )
        assert done.returncode == code, f"{' '.join(arguments)} in {folder}: {done.stdout}"
        return done.stdout

    def init(self, folder: str) -> None:
        """Fetch the providers of a folder."""
        self.run(folder, "init", "-no-color", "-input=false")


class Deployment:
    """An example that is applied to a server that stands in for AWS."""

    def __init__(self, terraform: Terraform, example: str, endpoint: str) -> None:
        self._terraform = terraform
        self._folder = f"examples/{example}"
        services = "\n".join(f'    {service} = "{endpoint}"' for service in SERVICES)
        (terraform.root / self._folder / "override.tf").write_text(
            'provider "aws" {\n  access_key = "a"\n  secret_key = "b"\n'
            "  s3_use_path_style = true\n  skip_credentials_validation = true\n"
            f"  skip_metadata_api_check = true\n\n  endpoints {{\n{services}\n  }}\n}}\n"
        )
        terraform.init(self._folder)

    def apply(self, variables: Mapping[str, Any]) -> None:
        """Create everything."""
        path = self._terraform.root / self._folder / "test.auto.tfvars.json"
        path.write_text(json.dumps(variables))
        self._run("apply", "-auto-approve")

    def drift(self) -> set[tuple[str, str]]:
        """Return what a second `apply` would change: kinds of resources and their attributes."""
        self._run("plan", "-out=again")
        plan = json.loads(self._terraform.run(self._folder, "show", "-json", "again"))
        changes = [
            (each["type"], each["change"]["before"] or {}, each["change"]["after"] or {})
            for each in plan["resource_changes"]
            if each["change"]["actions"] not in (["no-op"], ["read"])
        ]
        return {
            (kind, name)
            for kind, before, after in changes
            for name in before.keys() | after.keys()
            if before.get(name) != after.get(name)
        }

    def destroy(self) -> None:
        """Delete everything."""
        self._run("destroy", "-auto-approve")

    def state(self) -> str:
        """Return the state, which holds all that Terraform knows."""
        return self._terraform.run(self._folder, "state", "pull")

    def outputs(self) -> dict[str, Any]:
        """Return the outputs by name."""
        shown = json.loads(self._terraform.run(self._folder, "output", "-json"))
        return {name: output["value"] for name, output in shown.items()}

    def _run(self, *arguments: str) -> None:
        self._terraform.run(self._folder, *arguments, "-no-color", "-input=false")
