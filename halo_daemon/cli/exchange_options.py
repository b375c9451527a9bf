"""What `import` and `export` are told: their arguments and options, beside those of all commands."""

from pathlib import Path
from typing import Annotated

import typer

SourceArgument = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="otlp, halo, langfuse, phoenix, langsmith, mlflow, openai-agents, claude-code,"
        " codex, atif, or auto to go by each file's content.",
    ),
]
FilesArgument = Annotated[
    list[Path] | None,
    typer.Argument(help="Files and directories; - for stdin. Coding agents' own by default."),
]
TargetOption = Annotated[
    str,
    typer.Option("--project", metavar="NAME", help="Where all spans go; else by their source."),
]
BeganSinceOption = Annotated[
    str, typer.Option("--since", metavar="T", help="Only spans that began since: 7d, a date, …")
]
BeganUntilOption = Annotated[
    str, typer.Option("--until", metavar="T", help="Only spans that began before.")
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Read, count, show three spans; store nothing.")
]
ResumeOption = Annotated[
    bool, typer.Option("--resume", help="Go on where an earlier import stopped.")
]
FollowOption = Annotated[
    bool, typer.Option("--follow", help="Go on reading what is appended, until Ctrl-C.")
]
EndpointOption = Annotated[
    str,
    typer.Option(
        "--endpoint",
        metavar="URL",
        help="Pull from this server instead of files: phoenix, langfuse, langsmith.",
    ),
]
ServerProjectOption = Annotated[
    str, typer.Option("--from", metavar="NAME", help="Only this project of the server.")
]
ProvenOutputOption = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="FILE", help="Write to FILE, and what it is beside it."),
]
DirectoryOption = Annotated[
    Path, typer.Option("-o", "--output", metavar="DIR", help="A new directory.")
]
TraceOption = Annotated[
    str, typer.Option("--trace", metavar="ID", help="Only this trace; id or its beginning.")
]
UnmaskedOption = Annotated[
    bool, typer.Option("--unmasked", help="Leave keys, passwords and card numbers in the text.")
]
