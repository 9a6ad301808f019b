# .\make.ps1 demo   is   py make.py demo   which does the work.
$Python = if (Get-Command "py" -ErrorAction SilentlyContinue) { "py" } else { "python" }
& $Python (Join-Path $PSScriptRoot "make.py") @args
exit $LASTEXITCODE
