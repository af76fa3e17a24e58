package org.lvtmobile.core

import kotlinx.serialization.Serializable

/** A loaded model that is ready to run. Not thread-safe. */
interface Session : AutoCloseable {
    /**
     * Runs one inference.
     *
     * @param image preprocessed input, (1, 3, H, W).
     * @return the outputs by name. The next run may overwrite them.
     * @throws UserError the runtime cannot run the model.
     */
    fun run(image: Tensor): Map<String, Tensor>

    /** Where the time of the last run went; null before the first run, and if the model is not in parts. */
    val stages: StageTimes? get() = null

    /**
     * How many operators the accelerator runs; null if the runtime does not tell. The first call may load the model a
     * second time.
     */
    val placement: Placement? get() = null
}

/**
 * Where the operators of a loaded model run.
 *
 * @property accelerated number of operators that the accelerator runs.
 * @property total number of all operators.
 */
@Serializable
data class Placement(val accelerated: Int, val total: Int) {
    /** The counts of two parts of a model together. */
    operator fun plus(other: Placement): Placement = Placement(accelerated + other.accelerated, total + other.total)
}

/** An inference runtime. It opens the model files of one target. */
interface Runtime {
    /** Name of the runtime as in `lvt-bench --backend`, for example `onnxruntime`. */
    val name: String

    /**
     * The first choice for each operator: `cpu`, `xnnpack`, `nnapi`, `gpu` or `qnn`. Unsupported operators run on the
     * CPU; with `qnn` they are an error.
     */
    val accelerator: String

    /** Version of the runtime library. */
    val version: String

    /** What is known about the placement of a session without counts, in one line. */
    val placementNote: String

    /** The target in manifests that this runtime supports, for example `onnx`. */
    val target: String

    /**
     * Opens an artifact.
     *
     * @param threads number of threads; 0 lets the runtime choose.
     * @throws UserError the runtime cannot load the artifact, or inputs or outputs differ from the manifest.
     */
    fun open(artifact: Artifact, threads: Int): Session
}

/**
 * Checks that this runtime supports the target of an artifact.
 *
 * @throws UserError the artifact has another target.
 */
fun Runtime.requireTarget(artifact: Artifact) {
    val target = artifact.manifest.target
    if (target != this.target) {
        throw UserError("${artifact.file.name} is a $target file; $name runs ${this.target} files")
    }
}
