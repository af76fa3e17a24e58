package org.lvtmobile.app

import android.content.Context
import android.content.res.AssetManager
import android.os.StrictMode
import java.io.File
import java.io.IOException

private const val MODELS = "models"

/** The artifacts in the assets of the app. */
class AssetFiles(private val assets: AssetManager) : BundledFiles {
    override fun paths(): List<String> = files("")

    /** The files in a folder of the assets, recursively. */
    private fun files(folder: String): List<String> = children(folder).flatMap {
        val path = if (folder.isEmpty()) it else "$folder/$it"
        files(path).ifEmpty { listOf(path) }
    }

    /** Names in a folder of the assets; none for a file, which Android does not tell from an empty folder. */
    private fun children(folder: String): List<String> = try {
        assets.list("$MODELS/$folder".trimEnd('/')).orEmpty().toList()
    } catch (_: IOException) {
        emptyList()
    }

    override fun readText(path: String): String = assets.open("$MODELS/$path").use { it.reader().readText() }

    override fun copy(path: String, to: File) {
        assets.open("$MODELS/$path").use { source -> to.outputStream().use(source::copyTo) }
    }
}

/** Folders for artifacts: the folder that `adb push` can write, if the device has it, and the app's private folder. */
fun Context.modelFolders(): List<File> {
    StrictMode.noteSlowCall("model folders")
    return listOfNotNull(getExternalFilesDir(MODELS), File(filesDir, MODELS))
}

/** All artifacts that the user can choose. */
fun Context.modelRepository(): ModelRepository =
    ModelRepository(modelFolders(), AssetFiles(assets), File(noBackupFilesDir, MODELS))
