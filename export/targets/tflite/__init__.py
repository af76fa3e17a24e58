"""TFLite files: conversion, the flatbuffer itself, and the runtime."""
