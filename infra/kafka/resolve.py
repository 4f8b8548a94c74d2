"""Resolves Kafka's jars from a Maven repository with jgo: `python resolve.py FOLDER`.

Leaves `FOLDER/repository` (the jars) and `FOLDER/jgo.lock.toml` (what was resolved).
After a change of ENDPOINT the latter, reviewed, becomes the committed lock.
"""

import shutil
import sys
from pathlib import Path

from jgo import EnvironmentBuilder
from jgo.maven import MavenContext, PythonResolver

# The "!" keeps log4j's bill of materials from choosing an older kafka-clients.
ENDPOINT = "org.apache.kafka:kafka_2.13:4.4.0+org.apache.logging.log4j:log4j-slf4j-impl:2.25.5!"
HTTP_TIMEOUT_S = 30


def resolve(folder: Path) -> None:
    """Fetch every jar of ENDPOINT below `folder`; raises what jgo raises."""
    context = MavenContext(
        repo_cache=folder / "repository", resolver=PythonResolver(), timeout=HTTP_TIMEOUT_S
    )
    builder = EnvironmentBuilder(context=context, cache_dir=folder / "jgo")
    environment = builder.from_endpoint(ENDPOINT)
    shutil.copyfile(environment.lock_path, folder / "jgo.lock.toml")


if __name__ == "__main__":
    resolve(Path(sys.argv[1]))
