# What the Makefile does, for PowerShell on Windows:  .\make.ps1 demo   .\make.ps1 test
# If scripts are not allowed to run:  powershell -ExecutionPolicy Bypass -File make.ps1 demo
param(
    [ValidateSet("install", "demo", "test", "check", "marked", "faults", "fuzz", "format", "docs",
        "environments", "audit", "clean")]
    [string] $Target = "demo",
    [string] $Demo = "demo",
    [int] $Workers = 2
)
$ErrorActionPreference = "Stop"
Set-Location $PSScriptRoot
$Python = Join-Path ".venv" "Scripts\python.exe"
$Stamp = Join-Path ".venv" ".installed"
$Code = "src", "tests", "benchmarks", "scripts", "examples"

function Invoke-Checked {
    & $args[0] $args[1..($args.Count - 1)]
    if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
}

function Find-Python {
    # What a missing version says on stderr is no error here, even to Windows PowerShell 5.1.
    $ErrorActionPreference = "Continue"
    if (Get-Command "py" -ErrorAction SilentlyContinue) {
        foreach ($Version in "3.13", "3.12", "3.11") {
            & py "-$Version" -c "pass" 2>$null
            if ($LASTEXITCODE -eq 0) { return @("py", "-$Version") }
        }
    }
    if (Get-Command "python" -ErrorAction SilentlyContinue) {
        & python -c "import sys; sys.exit(sys.version_info < (3, 11))" 2>$null
        if ($LASTEXITCODE -eq 0) { return @("python") }
    }
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
        Invoke-Checked $Python "-m" "ruff" "format" "--check" @Code
        Invoke-Checked $Python "-m" "ruff" "check" @Code
        Invoke-Checked $Python "-m" "mypy"
        Invoke-Checked $Python "-m" "codespell_lib" "src" "tests" "docs" "benchmarks" "scripts" `
            "examples" "README.md" "CHANGELOG.md" "CONTRIBUTING.md"
        Invoke-Checked $Python "-m" "scripts.audit_dependencies"
        Invoke-Checked $Python "-m" "pytest" "-q" "-p" "no:randomly" `
            "tests/test_layers.py" "tests/test_docs.py" "tests/test_public_api.py"
    }
    "marked" {
        Install-Environment
        Invoke-Checked $Python "-m" "pytest" "-n" $Workers `
            "-m" "(slow or memory) and not network and not gpu"
    }
    "faults" {
        Install-Environment
        $env:EXPRESSOME_FAULT_MOMENTS = "20"
        Invoke-Checked $Python "-m" "pytest" "-n" $Workers "-m" "slow" "tests/faults" `
            "tests/pipeline/test_interruptions.py"
    }
    "fuzz" {
        Install-Environment
        $env:EXPRESSOME_FUZZ_CASES = "10000"
        Invoke-Checked $Python "-m" "pytest" "-n" $Workers "-m" "slow" "tests/fuzz"
    }
    "format" {
        Install-Environment
        Invoke-Checked $Python "-m" "ruff" "format" @Code
        Invoke-Checked $Python "-m" "ruff" "check" "--fix" @Code
    }
    "docs" {
        Install-Environment
        Invoke-Checked $Python "-m" "sphinx" "-q" "-W" "--keep-going" "-b" "html" "docs" "build/docs"
    }
    "environments" {
        Install-Environment
        Invoke-Checked $Python "-m" "scripts.check_environments"
    }
    "audit" {
        Install-Environment
        Invoke-Checked $Python "-m" "scripts.audit_dependencies" "--advisories"
    }
    "clean" {
        foreach ($Folder in ".venv", $Demo, "dist", "build") {
            if (Test-Path $Folder) { Remove-Item -Recurse -Force $Folder }
        }
    }
}
