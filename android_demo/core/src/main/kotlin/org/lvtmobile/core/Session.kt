package org.lvtmobile.core

/** A model ready to run. Not to be used by two threads at once. */
interface Session : AutoCloseable {
    /**
     * One inference.
     *
     * @param image preprocessed, (1, 3, H, W).
     * @return each output by its name.
     * @throws UserError the runtime cannot run the model.
     */
    fun run(image: Tensor): Map<String, Tensor>
}

/** What opens model files of one target. */
interface Runtime {
    /** As `lvt-bench --backend` and manifests' targets call it, such as `onnxruntime`. */
    val name: String

    /** What operators are offered to first; the CPU runs those that it does not take: `cpu`, `xnnpack`, `nnapi`, `gpu`. */
    val accelerator: String

    /** Of the library. */
    val version: String

    /** The manifests' target that it runs, such as `onnx`. */
    val target: String

    /**
     * Opens an artifact of its target.
     *
     * @param threads 0 leaves the choice to the runtime.
     * @throws UserError the runtime cannot load it, or the file has other inputs and outputs than
     *   its manifest.
     */
    fun open(artifact: Artifact, threads: Int): Session
}

/**
 * Refuses an artifact that this runtime does not take.
 *
 * @throws UserError it is of another target.
 */
fun Runtime.checkTakes(artifact: Artifact) {
    val target = artifact.manifest.target
    if (target != this.target) {
        throw UserError("${artifact.file.name} is a $target file; $name runs ${this.target} files")
    }
}
