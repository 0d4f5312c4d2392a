"""Contents that the fixtures answer with."""

from mcp_types import (
    AudioContent,
    EmbeddedResource,
    ImageContent,
    TextContent,
    TextResourceContents,
)

PNG = (  # one pixel
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTj2FAAAAABJRU5ErkJggg=="
)
WAV = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQIAAACAgA=="  # two samples

IMAGE = ImageContent(type="image", data=PNG, mime_type="image/png")
AUDIO = AudioContent(type="audio", data=WAV, mime_type="audio/wav")


def text(words: str) -> TextContent:
    """Return a text."""
    return TextContent(type="text", text=words)


def embedded(uri: str) -> EmbeddedResource:
    """Return a resource that stands in an answer."""
    contents = TextResourceContents(uri=uri, mime_type="text/plain", text=f"This is {uri}.")
    return EmbeddedResource(type="resource", resource=contents)
