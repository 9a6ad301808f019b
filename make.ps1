# What the Makefile does, for PowerShell on Windows:  .\make.ps1 demo   .\make.ps1 test
# If scripts are not allowed to run:  powershell -ExecutionPolicy Bypass -File make.ps1 demo
param(
    [ValidateSet("install", "demo", "test", "check", "environments", "clean")]
    [string] $Target = "demo",
    [string] $Demo = "demo",
    [int] $Workers = 2
)
$ErrorActionPreference = "Stop"
Set-Location $PSScriptRoot
$Python = Join-Path ".venv" "Scripts\python.exe"
$Stamp = Join-Path ".venv" ".installed"

function Invoke-Checked {
    & $args[0] $args[1..($args.Count - 1)]
    if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
}

function Find-Python {
    foreach ($Version in "3.13", "3.12", "3.11") {
        & py "-$Version" -c "pass" 2>$null
        if ($LASTEXITCODE -eq 0) { return @("py", "-$Version") }
    }
    & python -c "import sys; sys.exit(sys.version_info < (3, 11))" 2>$null
    if ($LASTEXITCODE -eq 0) { return @("python") }
    throw "expressome needs Python 3.11 or newer: https://www.python.org/downloads/"
}

function Install-Environment {
    if ((Test-Path $Stamp) -and
        ((Get-Item $Stamp).LastWriteTime -gt (Get-Item "pyproject.toml").LastWriteTime) -and
        ((Get-Item $Stamp).LastWriteTime -gt (Get-Item "constraints.txt").LastWriteTime)) { return }
    $Found = @(Find-Python)
    Invoke-Checked @Found "-m" "venv" ".venv"
    Invoke-Checked $Python "-m" "pip" "install" "--quiet" "--upgrade" "pip>=25.1"
    Invoke-Checked $Python "-m" "pip" "install" "--quiet" "--constraint" "constraints.txt" `
        "--group" "test" "--group" "check" "--group" "docs" "--editable" ".[all]"
    New-Item -ItemType File -Force $Stamp | Out-Null
}

switch ($Target) {
    "install" { Install-Environment }
    "demo" {
        Install-Environment
        Invoke-Checked $Python "-m" "expressome" "demo" "--out" $Demo "--overwrite"
    }
    "test" {
        Install-Environment
        Invoke-Checked $Python "-m" "pytest" "-n" $Workers
    }
    "check" {
        Install-Environment
        Invoke-Checked $Python "-m" "ruff" "check" "src" "tests" "benchmarks" "scripts"
        Invoke-Checked $Python "-m" "mypy"
    }
    "environments" {
        Install-Environment
        Invoke-Checked $Python "-m" "scripts.check_environments"
    }
    "clean" {
        foreach ($Folder in ".venv", $Demo, "dist", "build") {
            if (Test-Path $Folder) { Remove-Item -Recurse -Force $Folder }
        }
    }
}
