"""ExecuTorch with XNNPACK: conversion, graph passes, session and placement."""
